//! What this was measured on.

use std::fs;
use std::process::Command;

/// Processor, kernel and the library compared with, as a sentence.
pub(crate) fn description() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let has: Vec<_> = ["aes", "vaes", "sha_ni", "avx2", "avx512f"]
        .into_iter()
        .filter(|flag| {
            processor_field("flags")
                .split(' ')
                .any(|other| other == *flag)
        })
        .collect();
    format!(
        "{} ({processors} processors seen; {}), {}, MIT krb5 {}.\n",
        processor_field("model name"),
        has.join(", "),
        // Without what its builder added to the version.
        said("uname", &["-sr"])
            .split('-')
            .next()
            .unwrap_or_default(),
        said("dpkg-query", &["-W", "-f=${Version}", "libgssapi-krb5-2"]),
    )
}

fn processor_field(name: &str) -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    field.unwrap_or_else(|| "an unknown processor".to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
