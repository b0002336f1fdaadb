//! An edit on the disk: whole or not at all, and in the file that holds the device.

use super::*;

struct OnDisk {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl OnDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("moonwa.toml");
        fs::write(&path, FILE).unwrap();
        Self { dir, path }
    }

    fn revision(&self) -> Revision {
        Config::load(&self.path).unwrap().revision
    }

    fn write(&self, edit: &Edit, expected: Option<Revision>) -> Result<Revision, EditError> {
        edit.write(&self.path, expected, &Config::load(&self.path).unwrap().config)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// What lies in the directory: no draft may stay behind.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_written_edit_keeps_mode_and_symlink_and_tells_the_new_revision() {
    let disk = OnDisk::new();
    fs::set_permissions(&disk.path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = disk.dir.path().join("link.toml");
    symlink("moonwa.toml", &link).unwrap();
    let before = Config::load(&link).unwrap().revision;
    let running = Config::load(&link).unwrap().config;
    assert_eq!(paced("1/s").rehearse(&link, Some(before), &running).unwrap(), before);
    assert_eq!(disk.text(), FILE, "a rehearsal writes nothing");
    let after = paced("1/s").write(&link, Some(before), &running).unwrap();
    assert_eq!(disk.text(), paced("1/s").apply(FILE).unwrap());
    assert_eq!(after, disk.revision());
    assert_eq!(fs::metadata(&disk.path).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(disk.names(), ["link.toml", "moonwa.toml"]);
}

#[test]
fn somebody_elses_edit_is_never_overwritten() {
    let disk = OnDisk::new();
    let before = disk.revision();
    fs::write(&disk.path, FILE.replace("24h", "48h")).unwrap();
    let error = disk.write(&paced("1/s"), Some(before)).unwrap_err();
    let EditError::Conflict { expected, found } = error else { panic!("{error}") };
    assert_eq!((expected, found), (before, disk.revision()));
    assert_eq!(disk.text(), FILE.replace("24h", "48h"));
}

#[test]
fn an_edit_that_would_be_refused_is_not_written() {
    let disk = OnDisk::new();
    let error = disk.write(&paced("often"), None).unwrap_err();
    let EditError::Invalid(problems) = error else { panic!("{error}") };
    assert_eq!(problems[0].key, "device.toko.pace");
    assert_eq!(disk.text(), FILE);
    assert_eq!(disk.names(), ["moonwa.toml"]);
}

#[test]
fn a_file_that_may_not_be_written_is_answered_with_what_to_write() {
    let disk = OnDisk::new();
    fs::set_permissions(&disk.path, fs::Permissions::from_mode(0o444)).unwrap();
    let edit = put("gudang", DeviceEdit { pace: Some("1/s".to_owned()), ..DeviceEdit::default() });
    let error = disk.write(&edit, None).unwrap_err();
    let EditError::ReadOnly { toml, file } = error else { panic!("{error}") };
    assert_eq!(file, disk.path.display().to_string());
    let head = "[device.gudang] # here, in place of what has the same name";
    assert_eq!(toml, format!("{head}\npace = \"1/s\"\n"));
    assert_eq!(disk.text(), FILE);
    let disk = OnDisk::new();
    fs::write(&disk.path, format!("admin.editable = false\n{FILE}")).unwrap();
    let error = disk.write(&edit, None).unwrap_err();
    assert!(matches!(error, EditError::ReadOnly { .. }), "{error}");
}

#[test]
fn an_edit_that_the_running_gateway_could_not_apply_is_not_written() {
    let disk = OnDisk::new();
    let running = Config::load(&disk.path).unwrap().config;
    let waiting = FILE.replace("9000", "9001");
    fs::write(&disk.path, &waiting).unwrap();
    let error = paced("1/s").write(&disk.path, None, &running).unwrap_err();
    let EditError::Invalid(problems) = error else { panic!("{error}") };
    assert_eq!(problems[0].key, "server.listen");
    assert_eq!(disk.text(), waiting);
}

#[test]
fn an_edit_goes_to_the_file_that_holds_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("moonwa.toml");
    let (main, one) = ("include = [\"d/*.toml\"] # many\n", "[device.a] # one\n");
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(&path, main).unwrap();
    fs::write(dir.path().join("d/a.toml"), one).unwrap();
    fs::write(dir.path().join("d/b.toml"), "[device.b]\n").unwrap();
    let running = Config::load(&path).unwrap().config;
    let edit =
        |name| put(name, DeviceEdit { pace: Some("1/s".to_owned()), ..DeviceEdit::default() });
    let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let after = edit("a").write(&path, None, &running).unwrap();
    assert_eq!(after, Config::load(&path).unwrap().revision);
    assert_eq!(text("d/a.toml"), format!("{one}pace = \"1/s\"\n"));
    edit("new").write(&path, None, &running).unwrap();
    assert_eq!(text("moonwa.toml"), format!("{main}\n[device.new]\npace = \"1/s\"\n"));
    Edit::Remove(name("b")).write(&path, None, &running).unwrap();
    assert_eq!(text("d/b.toml"), "# The device b was here.\n");
    assert!(Config::load(&path).is_ok());
}
