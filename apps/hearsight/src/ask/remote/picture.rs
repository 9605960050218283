//! Pictures as servers take them: a JPEG in a data URI (RFC 2397).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hearsight_core::media::{Picture, Planes};
use hearsight_models::vlm::Refused;
use hearsight_models::vlm::picture::Rgb;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage, imageops};

/// Of libjpeg's scale: what is legible in the camera's picture stays so.
const QUALITY: u8 = 85;

/// Scales a picture down to at most `side` pixels on its longer side, and codes it.
pub(super) fn data_uri(picture: &Picture<Planes>, side: u32) -> Result<Arc<str>, Refused> {
    let rgb = Rgb::from_planes(picture)?;
    let (width, height) = (rgb.width(), rgb.height());
    let whole = RgbImage::from_raw(width, height, rgb.bytes().to_vec()).ok_or(Refused::Short)?;
    let longer = width.max(height);
    let scaled = if longer > side {
        let fit = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longer)).max(1) as u32;
        imageops::thumbnail(&whole, fit(width), fit(height))
    } else {
        whole
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(
            scaled.as_raw(),
            scaled.width(),
            scaled.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(|problem| Refused::Unavailable(format!("a picture can't be coded: {problem}")))?;
    let mut uri = String::from("data:image/jpeg;base64,");
    STANDARD.encode_string(&jpeg, &mut uri);
    Ok(uri.into())
}
