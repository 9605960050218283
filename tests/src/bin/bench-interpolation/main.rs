mod material;
mod quality;
mod rendered;
use anyhow::Result;
use material::{load, luma, sources};
use std::path::PathBuf;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let get = |k: &str| args.iter().position(|a| a == k).and_then(|p| args.get(p + 1)).cloned();
    let frames: usize = get("--frames").and_then(|v| v.parse().ok()).unwrap_or(61);
    let clips: Vec<String> = get("--clips")
        .map(|v| v.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    let skip: usize = get("--step").and_then(|v| v.parse().ok()).unwrap_or(1);
    let methods: Vec<String> = get("--methods")
        .unwrap_or("hold,blend,recipe,ours".into())
        .split(',')
        .map(str::to_owned)
        .collect();
    let folder = PathBuf::from(get("--keep").unwrap());
    let srcs = sources(&clips);
    let per: Vec<Result<(String, Vec<f64>)>> = std::thread::scope(|s| {
        let hs: Vec<_> = srcs
            .iter()
            .map(|src| {
                let (folder, methods) = (&folder, &methods);
                std::thread::Builder::new()
                    .spawn_scoped(s, move || {
                        let clip = load(src, frames, folder)?;
                        let mut rows = Vec::new();
                        for m in methods {
                            let mut sum = 0.0;
                            let mut n = 0;
                            let cpu = || {
                                std::fs::read_to_string("/proc/thread-self/schedstat")
                                    .unwrap()
                                    .split(' ')
                                    .next()
                                    .unwrap()
                                    .parse::<u64>()
                                    .unwrap()
                            };
                            let mut spent = 0;
                            let mut m0 = None;
                            for i in (0..clip.dropped.len()).step_by(skip) {
                                let (a, b) = (&clip.kept[i], &clip.kept[i + 1]);
                                let from = cpu();
                                let made = match m.as_str() {
                                    "hold" => luma(&a.picture),
                                    "blend" => luma(&a.picture)
                                        .iter()
                                        .zip(luma(&b.picture))
                                        .map(|(a, b)| ((u16::from(*a) + u16::from(b) + 1) / 2) as u8)
                                        .collect(),
                                    "recipe" => hearsight_shaders::recipe::half_way(&a.picture, &b.picture, &b.motion)?,
                                    m => {
                                        use hearsight_shaders::interpolate::*;
                                        let size = (a.picture.width, a.picture.height);
                                        if m0.is_none() || skip > 1 {
                                            m0 = Some(Motion::new(&a.motion, size));
                                        }
                                        let m1 = Motion::new(&b.motion, size);
                                        let made = make(
                                            Pair {
                                                earlier: &a.picture,
                                                later: &b.picture,
                                                before: if m == "ours" { m0.as_ref() } else { None },
                                                motion: &m1,
                                            },
                                            0.5,
                                            Rung::Vectors,
                                        )?;
                                        if let Some(h) = made.held {
                                            eprintln!("{} {i} {h:?}", clip.name);
                                        }
                                        m0 = Some(m1);
                                        luma(&made.picture)
                                    }
                                };
                                spent += cpu() - from;
                                sum += quality::psnr(&made, &clip.dropped[i]);
                                n += 1;
                            }
                            rows.push(sum / n as f64);
                            if clip.height == 720 && clip.width == 1280 {
                                eprintln!("{} {m} {:.1} ms", clip.name, spent as f64 / 1e6 / n as f64);
                            }
                        }
                        Ok((clip.name.clone(), rows))
                    })
                    .unwrap()
            })
            .collect();
        hs.into_iter().map(|h| h.join().unwrap()).collect()
    });
    let mut tot = vec![0.0; methods.len()];
    let mut cnt = 0;
    for row in per {
        let (name, row) = row?;
        println!(
            "{name:14} {}",
            row.iter().map(|v| format!("{v:7.2}")).collect::<String>()
        );
        if !["slide", "turn", "hide", "overlay"].contains(&name.as_str()) {
            cnt += 1;
            for (t, v) in tot.iter_mut().zip(row) {
                *t += v;
            }
        }
    }
    println!(
        "{:14} {}",
        "MEAN",
        tot.iter()
            .map(|v| format!("{:7.2}", v / cnt as f64))
            .collect::<String>()
    );
    Ok(())
}
