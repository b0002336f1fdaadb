//! A code to scan, as a picture.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::{Color, QrCode};

/// The sides of a module, and the width of the quiet zone in modules.
const MODULE: u32 = 8;
const QUIET: u32 = 4;

/// A code as a picture; why it cannot be one.
pub(crate) fn png(text: &str) -> Result<Vec<u8>, String> {
    let code = QrCode::new(text).map_err(|error| error.to_string())?;
    let modules = u32::try_from(code.width()).map_err(|error| error.to_string())?;
    let side = (modules + 2 * QUIET) * MODULE;
    let picture = GrayImage::from_fn(side, side, |x, y| {
        let at = |pixel: u32| (pixel / MODULE).checked_sub(QUIET).filter(|n| *n < modules);
        let dark =
            at(x).zip(at(y)).is_some_and(|(x, y)| code[(x as usize, y as usize)] == Color::Dark);
        Luma([if dark { 0 } else { 255 }])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_says_what_the_code_says() {
        let text = "2@abc,def,ghi";
        let picture = image::load_from_memory(&png(text).unwrap()).unwrap().to_luma8();
        let code = QrCode::new(text).unwrap();
        let side = (u32::try_from(code.width()).unwrap() + 2 * QUIET) * MODULE;
        assert_eq!(picture.dimensions(), (side, side));
        for y in 0..code.width() {
            for x in 0..code.width() {
                let at = |n: usize| (u32::try_from(n).unwrap() + QUIET) * MODULE + MODULE / 2;
                let dark = picture.get_pixel(at(x), at(y)).0[0] == 0;
                assert_eq!(dark, code[(x, y)] == Color::Dark, "{x},{y}");
            }
        }
        assert_eq!(picture.get_pixel(3, 3).0[0], 255, "the quiet zone");
    }
}
