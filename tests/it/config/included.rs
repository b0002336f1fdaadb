//! A configuration in several files.

use super::*;

/// A directory with a `moonwa.toml` that includes `devices.d/*.toml`, and those files.
fn with_included(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("devices.d")).unwrap();
    let main = dir.path().join("moonwa.toml");
    fs::write(&main, "include = [\"devices.d/*.toml\"]\n[device.main]\n").unwrap();
    for (name, text) in files {
        fs::write(dir.path().join("devices.d").join(name), text).unwrap();
    }
    (dir, main)
}

#[test]
fn included_files_hold_devices_and_every_problem_names_its_file() {
    let (dir, main) = with_included(&[
        (
            "a.toml",
            "[device.a]\nwebhooks = [{ url = \"https://a.example\", headers = { x-a = { file = \"key\" } } }]\n",
        ),
        ("b.toml", "device.b.label = \"B\"\n"),
        (".c.toml", "a draft of an editor"),
        ("key", "the file beside the file that names it"),
    ]);
    let first = Config::load(&main).unwrap();
    let names: Vec<&str> = first.config.devices.keys().map(DeviceName::as_str).collect();
    assert_eq!(names, ["a", "b", "main"]);
    assert_eq!(first.others.files.len(), 3);
    let devices = dir.path().join("devices.d");
    fs::write(devices.join("d.toml"), "[device.d]\n").unwrap();
    let second = Config::load(&main).unwrap();
    assert_ne!(first.revision, second.revision);
    assert_eq!(second.config.devices.len(), 4);

    fs::write(devices.join("b.toml"), "\n[device.main]\n[device.b]\nlable = \"B\"\n[log]\n")
        .unwrap();
    fs::write(devices.join("d.toml"), "[device.d\n").unwrap();
    fs::write(devices.join("e.toml"), "\n").unwrap();
    let said = Config::load(&main).unwrap_err().to_string();
    let said = said.replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(
        said,
        "moonwa.toml:1:12: include[1]: devices.d/e.toml is empty; write its devices, or remove it\n\
         devices.d/b.toml:2:9: device.main: the device stands in moonwa.toml too; keep one of them\n\
         devices.d/b.toml:4:1: device.b: unknown key \"lable\"; did you mean \"label\"?\n\
         devices.d/b.toml:5:2: unknown key \"log\"; known here: device\n\
         devices.d/d.toml:1:10: unclosed table, expected `]`"
    );
    fs::remove_dir_all(&devices).unwrap();
    let said = Config::load(&main).unwrap_err().to_string();
    assert!(said.contains("moonwa.toml:1:12: include[1]: cannot look into "), "{said}");
}

#[test]
fn the_last_good_copy_holds_the_included_files_too() {
    let (dir, main) = with_included(&[("a.toml", "[device.a]\n")]);
    let loaded = Config::load(&main).unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    keep_last_good(&main, &loaded.config, &loaded.others).unwrap();
    fs::remove_dir_all(dir.path().join("devices.d")).unwrap();
    assert!(Config::load(&main).is_err());
    assert_eq!(last_good(&main).unwrap().config.devices, loaded.config.devices);
}
