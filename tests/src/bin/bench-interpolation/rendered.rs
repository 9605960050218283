//! Clips whose motion is known because they are rendered: what moves, turns, hides and stands still.

/// Width and height of every rendered clip.
pub(crate) const SIZE: (u32, u32) = (640, 360);

/// What happens in a rendered clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// The whole picture moves by 4.5 pixels to the right and 2 down between neighbours.
    Slide,
    /// The whole picture turns by 0.6 degrees and grows by half a per cent.
    Turn,
    /// A disc moves to the right by 5 pixels over a ground that moves to the left by 3.
    Hide,
    /// A ground moves by 6 pixels under letters and a grid that stand still.
    Overlay,
}

impl Scene {
    pub(crate) const ALL: [Scene; 4] = [Scene::Slide, Scene::Turn, Scene::Hide, Scene::Overlay];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scene::Slide => "slide",
            Scene::Turn => "turn",
            Scene::Hide => "hide",
            Scene::Overlay => "overlay",
        }
    }

    /// `frames` pictures as YUV4MPEG2, chroma grey.
    pub(crate) fn render(self, frames: usize) -> Vec<u8> {
        let (width, height) = (SIZE.0 as usize, SIZE.1 as usize);
        let mut bytes = format!("YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n").into_bytes();
        for frame in 0..frames {
            bytes.extend(b"FRAME\n");
            for row in 0..height {
                bytes.extend((0..width).map(|column| self.luma(frame as f64, column as f64, row as f64)));
            }
            bytes.resize(bytes.len() + width * height / 2, 128);
        }
        bytes
    }

    fn luma(self, time: f64, x: f64, y: f64) -> u8 {
        let level = match self {
            Scene::Slide => texture(x - 4.5 * time, y - 2.0 * time),
            Scene::Turn => {
                let (sin, cos) = (0.6_f64.to_radians() * time).sin_cos();
                let (dx, dy) = (x - f64::from(SIZE.0) / 2.0, y - f64::from(SIZE.1) / 2.0);
                let size = 1.005_f64.powf(time);
                texture((cos * dx + sin * dy) / size, (cos * dy - sin * dx) / size)
            }
            Scene::Hide => {
                let (dx, dy) = (x - 120.0 - 5.0 * time, y - f64::from(SIZE.1) / 2.0);
                let inside = (90.0 - dx.hypot(dy)).clamp(0.0, 1.0);
                let disc = 255.0 - texture(dx * 1.3 + 900.0, dy * 1.3);
                disc * inside + texture(x + 3.0 * time, y) * (1.0 - inside)
            }
            Scene::Overlay if letters(x as usize, y as usize) => 235.0,
            Scene::Overlay => texture(x - 6.0 * time, y),
        };
        level.clamp(16.0, 235.0).round() as u8
    }
}

/// Smooth texture of many scales and directions, without a period below the picture's size.
fn texture(x: f64, y: f64) -> f64 {
    let broad = (x * 0.021 + y * 0.013).sin() + (y * 0.027 - x * 0.009).sin();
    let middle = (x * 0.11 + y * 0.05).sin() + (x * 0.043 - y * 0.13).sin() + (x * 0.19 + (y * 0.17).sin()).sin();
    let fine = (x * 0.61 + (y * 0.07).sin() * 2.0).sin() * (y * 0.53 + (x * 0.05).cos() * 2.0).sin();
    126.0 + broad * 18.0 + middle * 16.0 + fine * 22.0
}

/// Strokes three pixels thick, as of writing, in the lower third.
fn letters(x: usize, y: usize) -> bool {
    let (column, row) = (x % 18, y.wrapping_sub(270));
    let inside = (60..580).contains(&x) && row < 48 && row % 24 < 18;
    // Which strokes a letter has follows from its place, so that no two neighbours are alike.
    let shape = (x / 18) * 7 + (row / 24) * 3;
    let upright = column < 3 || (shape.is_multiple_of(3) && (9..12).contains(&column));
    let level = row % 24 < 3 || (shape.is_multiple_of(2) && (8..11).contains(&(row % 24)));
    inside && column < 13 && (upright || level)
}
