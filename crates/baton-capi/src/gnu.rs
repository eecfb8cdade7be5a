//! What GNU's `libgss.so.3` has beside RFC 2744 (its `gss/ext.h`).

use crate::ptr::{InString, TextPointer};

/// The release of GNU GSS whose interface this is.
const VERSION: [u32; 3] = [1, 0, 4];
const TEXT: &std::ffi::CStr = c"1.0.4";

/// `gss_check_version`: the version, if it is no older than the one that a program wants; else null. Null wants any.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gss_check_version(wanted: InString) -> TextPointer {
    let enough = crate::boundary::caught(|| Ok(wanted.get()?.is_none_or(|text| is_enough(&text))));
    match enough {
        Ok(true) => TextPointer::new(TEXT),
        _ => TextPointer::NONE,
    }
}

/// Up to three numbers with dots between them, each compared as a number. What is no version wants one that there is not; nothing
/// wants any.
fn is_enough(wanted: &str) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let mut numbers = [0; 3];
    for (at, number) in wanted.split('.').enumerate() {
        match (numbers.get_mut(at), number.parse()) {
            (Some(place), Ok(number)) => *place = number,
            _ => return false,
        }
    }
    numbers <= VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_number_by_number() {
        for enough in ["", "1", "1.0", "1.0.4", "0.9.99", "1.0.0"] {
            assert!(is_enough(enough), "{enough}");
        }
        for more in ["1.0.5", "1.0.10", "1.1", "2", "1.0.4.0", "x", "1.x"] {
            assert!(!is_enough(more), "{more}");
        }
        let text = TEXT.to_str().unwrap();
        assert_eq!(VERSION.map(|number| number.to_string()).join("."), text);
    }
}
