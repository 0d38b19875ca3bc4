use std::io::Write as _;

use super::*;

fn all<B: AsRef<[u8]>>(logs: &[B]) -> Result<Vec<String>> {
    let folder = std::env::temp_dir().join(format!("splitctl-logs-{}", fastrand::u64(..)));
    fs::create_dir(&folder).unwrap();
    let file = |(number, bytes): (usize, &B)| {
        let path = folder.join(number.to_string());
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let paths: Vec<_> = logs.iter().enumerate().map(file).collect();
    let mut seen = Vec::new();
    let read = |line: &[u8], time: &mut String| {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        if let Some((_, known)) = text.split_once("@") {
            known.clone_into(time);
        }
        text.chars().take(30).collect::<String>()
    };
    let logs = Logs::open(&paths)?;
    logs.for_each(read, |Read { name, number, what, .. }| {
        seen.push(format!("{}:{number} {what}", name.rsplit('/').next().unwrap()));
    })?;
    fs::remove_dir_all(folder).unwrap();
    Ok(seen)
}

#[test]
fn lines_of_several_logs_come_in_the_order_of_their_times() {
    let logs = ["a@09:01\n\nb@09:04", "c@09:02\r\nnone\nd@09:03\n"];
    let expected = ["0:1 a@09:01", "0:2 ", "1:1 c@09:02", "1:2 none", "1:3 d@09:03", "0:3 b@09:04"];
    assert_eq!(all(&logs).unwrap(), expected);
    // At one time, in the order in which they are given.
    assert_eq!(all(&["a@1\nb@1", "c@1"]).unwrap(), ["0:1 a@1", "0:2 b@1", "1:1 c@1"]);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Two files of gzip in one are one log, as `cat a.gz b.gz` makes them.
#[test]
fn a_log_may_be_compressed() {
    let two = [gzip("a@09:01\nb@0"), gzip("9:03\n")].concat();
    let plain = b"c@09:02".to_vec();
    assert_eq!(all(&[two.clone(), plain]).unwrap(), ["0:1 a@09:01", "1:1 c@09:02", "0:2 b@09:03"]);
    let error = all(&[&two[..two.len() - 9]]).unwrap_err();
    assert!(format!("{error:#}").contains("cannot read"), "{error:#}");
    let error = all(&[&ZSTANDARD]).unwrap_err().to_string();
    assert!(error.contains("zstdcat"), "{error}");
}

#[test]
fn a_log_is_read_once() {
    let folder = std::env::temp_dir();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    for paths in [["-".into(), "-".into()], [path("."), path("./.")]] {
        let error = Logs::open(&paths).err().unwrap().to_string();
        assert!(error.contains("given twice"), "{error}");
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_and_the_next_one_read() {
    for more in [0, 1, 5, LONGEST as usize, 2 * LONGEST as usize + 1] {
        let long = "{".repeat(LONGEST as usize + more);
        let expected = ["0:1 {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{", "0:2 next"];
        assert_eq!(all(&[&format!("{long}\nnext")]).unwrap(), expected, "{more}");
        assert_eq!(all(&[&long]).unwrap(), expected[..1], "{more}");
    }
}
