//! What `pkg-config` reads. The folders are relative to the file, so the tree can stand anywhere.

use std::path::Path;

use crate::capi::{make_folder, write};

/// A file's name, what it describes, whose version it says it is, and how to link.
///
/// The versions are those of the interfaces: programs ask for "at least 1.13".
const FILES: [(&str, &str, &str, &str, &str); 4] = [
    (
        "krb5-gssapi",
        "GSS-API with Kerberos, in the ABI of MIT krb5",
        "1.20.1",
        "",
        "Requires: mit-krb5-gssapi\n",
    ),
    (
        "mit-krb5-gssapi",
        "GSS-API with Kerberos, in the ABI of MIT krb5",
        "1.20.1",
        "vendor=MIT\n",
        "Cflags: -I${includedir}\nLibs: -L${libdir} -lgssapi_krb5\n",
    ),
    (
        "gss",
        "GSS-API with Kerberos, in the ABI of GNU GSS",
        "1.0.4",
        "",
        "Cflags: -I${includedir}\nLibs: -L${libdir} -lgss\n",
    ),
    (
        "baton",
        "GSS-API with Kerberos, beside other libraries of it",
        env!("CARGO_PKG_VERSION"),
        "",
        "Cflags: -I${includedir}\nLibs: -L${libdir} -lbaton-gssapi\n",
    ),
];

pub(crate) fn write_all(folder: &Path) -> Result<(), String> {
    make_folder(folder)?;
    for (name, description, version, variables, rest) in FILES {
        let text = format!(
            "prefix=${{pcfiledir}}/../..\nlibdir=${{pcfiledir}}/..\nincludedir=${{prefix}}/include\n{variables}\n\
             Name: {name}\nDescription: {description}\nVersion: {version}\n{rest}"
        );
        write(&folder.join(format!("{name}.pc")), &text)?;
    }
    Ok(())
}
