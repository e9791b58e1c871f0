//! The notifications that wait to be sent, on disk: bounded, and there again after a restart.
//!
//! Records are appended to segment files; a record that is done has its first byte overwritten, and
//! a segment without live records is removed. What is in memory is where each record lies. Nothing
//! is synced: what is written survives the process, not the node, whose volume goes with it.
//!
//! A record: state (1 byte), id (8), length (4), checksum (4), payload. Numbers are little-endian.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

const LIVE: u8 = 1;
const DONE: u8 = 2;
const HEAD: usize = 17;
/// A segment is closed when it has reached this size.
const SEGMENT_BYTES: u64 = 1 << 20;
/// How many folders are tried where others are in use.
const MOST_FOLDERS: usize = 32;
/// The largest record that is believed when a segment is read.
const MAX_RECORD: usize = 16 << 20;

/// Names a record; later ones are greater.
pub type Id = u64;

#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u64,
    offset: u64,
    bytes: u32,
}

#[derive(Debug)]
struct Segment {
    file: File,
    size: u64,
    live: u64,
}

/// The records on disk.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    _lock: File,
    max_bytes: u64,
    places: BTreeMap<Id, Place>,
    segments: BTreeMap<u64, Segment>,
    live_bytes: u64,
    next: Id,
}

/// A record that had to go to make room.
#[derive(Debug)]
pub struct Dropped {
    /// Its name.
    pub id: Id,
    /// What it was; empty where it could not be read any more.
    pub payload: Vec<u8>,
}

impl Spool {
    /// Opens the spool of a folder, which is made where it is missing. Where another process holds
    /// it, the next free of `<folder>-1`, `<folder>-2` … is taken.
    ///
    /// # Errors
    /// The folder cannot be made, locked or read.
    pub fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        for number in 0..MOST_FOLDERS {
            let folder = numbered(folder, number);
            fs::create_dir_all(&folder)?;
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join("lock"))?;
            match lock.try_lock() {
                Ok(()) => return Self::read(folder, lock, max_bytes),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other("all folders are in use"))
    }

    fn read(folder: PathBuf, lock: File, max_bytes: u64) -> io::Result<Self> {
        let mut spool = Self {
            folder,
            _lock: lock,
            max_bytes,
            places: BTreeMap::new(),
            segments: BTreeMap::new(),
            live_bytes: 0,
            next: 1,
        };
        let mut numbers: Vec<u64> = fs::read_dir(&spool.folder)?
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                name.to_str()?.strip_suffix(".seg")?.parse().ok()
            })
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            spool.read_segment(number)?;
        }
        spool.remove_empty();
        Ok(spool)
    }

    /// Reads one segment; what follows a torn record is left out.
    fn read_segment(&mut self, number: u64) -> io::Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(number))?;
        let end = file.metadata()?.len();
        let (mut offset, mut live) = (0, 0);
        let mut head = [0; HEAD];
        while offset + HEAD as u64 <= end && file.read_exact_at(&mut head, offset).is_ok() {
            let (state, id, length, sum) = parse(&head);
            let fits = length <= MAX_RECORD && offset + (HEAD + length) as u64 <= end;
            if !fits || !matches!(state, LIVE | DONE) {
                break;
            }
            if state == LIVE {
                let mut payload = vec![0; length];
                file.read_exact_at(&mut payload, offset + HEAD as u64)?;
                if checksum(id, &payload) != sum {
                    break;
                }
                let bytes = u32::try_from(length).unwrap_or(u32::MAX);
                let place = Place {
                    segment: number,
                    offset,
                    bytes,
                };
                if self.places.insert(id, place).is_none() {
                    live += 1;
                    self.live_bytes += u64::from(bytes);
                }
            }
            self.next = self.next.max(id + 1);
            offset += (HEAD + length) as u64;
        }
        let segment = Segment {
            file,
            size: offset,
            live,
        };
        self.segments.insert(number, segment);
        Ok(())
    }

    /// Returns the folder that was opened.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the names of all records, oldest first.
    pub fn ids(&self) -> Vec<Id> {
        self.places.keys().copied().collect()
    }

    /// Returns how many records wait and how many bytes they have.
    #[must_use]
    pub fn load(&self) -> (usize, u64) {
        (self.places.len(), self.live_bytes)
    }

    /// Writes a record. Where there is no room for it, the oldest are dropped and returned.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn append(&mut self, payload: &[u8]) -> io::Result<(Id, Vec<Dropped>)> {
        let dropped = self.make_room(payload.len() as u64);
        let id = self.next;
        self.write(id, payload)?;
        self.next += 1;
        self.tidy()?;
        Ok((id, dropped))
    }

    fn make_room(&mut self, bytes: u64) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        while self.live_bytes + bytes > self.max_bytes {
            let Some(id) = self.places.keys().next().copied() else {
                break;
            };
            let payload = self.get(id).unwrap_or_default();
            self.done(id);
            dropped.push(Dropped { id, payload });
        }
        dropped
    }

    fn write(&mut self, id: Id, payload: &[u8]) -> io::Result<()> {
        let bytes = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let number = self.current()?;
        let Some(segment) = self.segments.get_mut(&number) else {
            return Err(io::Error::other("no segment"));
        };
        let mut record = Vec::with_capacity(HEAD + payload.len());
        record.push(LIVE);
        record.extend(id.to_le_bytes());
        record.extend(bytes.to_le_bytes());
        record.extend(checksum(id, payload));
        record.extend(payload);
        let offset = segment.size;
        segment.file.write_all_at(&record, offset)?;
        segment.size += record.len() as u64;
        segment.live += 1;
        let place = Place {
            segment: number,
            offset,
            bytes,
        };
        self.places.insert(id, place);
        self.live_bytes += u64::from(bytes);
        Ok(())
    }

    /// Returns the number of the segment to write to, a new one where the last is full.
    fn current(&mut self) -> io::Result<u64> {
        let last = self.segments.last_key_value();
        if let Some((number, segment)) = last
            && segment.size < SEGMENT_BYTES
        {
            return Ok(*number);
        }
        let number = last.map_or(1, |(number, _)| number + 1);
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(self.path(number))?;
        let segment = Segment {
            file,
            size: 0,
            live: 0,
        };
        self.segments.insert(number, segment);
        Ok(number)
    }

    /// Reads a record; none where it is done or cannot be read.
    pub fn get(&self, id: Id) -> Option<Vec<u8>> {
        let place = self.places.get(&id)?;
        let segment = self.segments.get(&place.segment)?;
        let mut payload = vec![0; place.bytes as usize];
        let read = segment
            .file
            .read_exact_at(&mut payload, place.offset + HEAD as u64);
        match read {
            Ok(()) => Some(payload),
            Err(error) => {
                tracing::error!(%error, "a spooled notification cannot be read");
                None
            }
        }
    }

    /// Forgets a record.
    pub fn done(&mut self, id: Id) {
        let Some(place) = self.places.remove(&id) else {
            return;
        };
        self.live_bytes -= u64::from(place.bytes);
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            // It would only be sent once more after a restart.
            if let Err(error) = segment.file.write_all_at(&[DONE], place.offset) {
                tracing::error!(%error, "a sent notification cannot be marked");
            }
            segment.live -= 1;
            if segment.live == 0 {
                self.remove_empty();
            }
        }
    }

    fn remove_empty(&mut self) {
        let last = self.segments.last_key_value().map(|(number, _)| *number);
        let folder = &self.folder;
        self.segments.retain(|number, segment| {
            let full = segment.size >= SEGMENT_BYTES || Some(*number) != last;
            let goes = segment.live == 0 && full;
            if goes && let Err(error) = fs::remove_file(path(folder, *number)) {
                tracing::error!(%error, "an empty segment cannot be removed");
            }
            !goes
        });
    }

    /// Moves the live records of the emptiest segments, once files take twice what may wait.
    fn tidy(&mut self) -> io::Result<()> {
        let on_disk: u64 = self.segments.values().map(|s| s.size).sum();
        if on_disk <= 2 * self.max_bytes.max(SEGMENT_BYTES) {
            return Ok(());
        }
        let last = self.segments.last_key_value().map(|(number, _)| *number);
        let emptiest = self
            .segments
            .iter()
            .filter(|(number, _)| Some(**number) != last)
            .min_by_key(|(_, segment)| segment.live)
            .map(|(number, _)| *number);
        let Some(number) = emptiest else {
            return Ok(());
        };
        let ids: Vec<Id> = self
            .places
            .iter()
            .filter(|(_, place)| place.segment == number)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(payload) = self.get(id) {
                self.done(id);
                self.write(id, &payload)?;
            }
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        path(&self.folder, number)
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.seg"))
}

fn numbered(folder: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return folder.to_owned();
    }
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    folder.with_file_name(name)
}

fn parse(head: &[u8; HEAD]) -> (u8, Id, usize, [u8; 4]) {
    let number = |from: usize, to: usize| {
        let mut bytes = [0; 8];
        bytes[..to - from].copy_from_slice(&head[from..to]);
        u64::from_le_bytes(bytes)
    };
    let length = usize::try_from(number(9, 13)).unwrap_or(usize::MAX);
    let sum = [head[13], head[14], head[15], head[16]];
    (head[0], number(1, 9), length, sum)
}

fn checksum(id: Id, payload: &[u8]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(id.to_le_bytes());
    hash.update(payload);
    let sum = hash.finalize();
    [sum[0], sum[1], sum[2], sum[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(spool: &Spool) -> Vec<String> {
        let read = |id| String::from_utf8(spool.get(id).unwrap()).unwrap();
        spool.ids().into_iter().map(read).collect()
    }

    #[test]
    fn what_is_not_done_is_there_again_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        let ids: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|t| spool.append(t.as_bytes()).unwrap().0)
            .collect();
        spool.done(ids[1]);
        drop(spool);
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(texts(&spool), ["a", "c"]);
        let (id, _) = spool.append(b"d").unwrap();
        assert!(id > ids[2]);
        assert_eq!(texts(&spool), ["a", "c", "d"]);
    }

    #[test]
    fn oldest_goes_when_there_is_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 10).unwrap();
        for text in ["aaaa", "bbbb"] {
            assert!(spool.append(text.as_bytes()).unwrap().1.is_empty());
        }
        let (_, dropped) = spool.append(b"cccc").unwrap();
        assert_eq!(dropped.len(), 1);
        assert_eq!(dropped[0].payload, b"aaaa");
        assert_eq!(texts(&spool), ["bbbb", "cccc"]);
        assert_eq!(spool.load(), (2, 8));
    }

    #[test]
    fn torn_record_ends_a_segment_and_spoils_nothing_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool.append(b"whole").unwrap();
        spool.append(b"torn apart").unwrap();
        drop(spool);
        let file = folder.path().join("000000000001.seg");
        let bytes = fs::read(&file).unwrap();
        for cut in 1..HEAD + 10 {
            fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
            let spool = Spool::open(folder.path(), 1 << 20).unwrap();
            assert_eq!(texts(&spool), ["whole"], "{cut}");
        }
        let mut flipped = bytes.clone();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        fs::write(&file, &flipped).unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(texts(&spool), ["whole"]);
        spool.append(b"next").unwrap();
        drop(spool);
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(texts(&spool), ["whole", "next"]);
    }

    #[test]
    fn garbage_in_a_segment_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("000000000001.seg"), [0xff; 500]).unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert!(spool.ids().is_empty());
    }

    #[test]
    fn files_go_with_their_records_and_stay_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let max = 2 << 20;
        let mut spool = Spool::open(folder.path(), max).unwrap();
        let payload = vec![b'x'; 10_000];
        let mut kept = Vec::new();
        for n in 0..3000 {
            let (id, _) = spool.append(&payload).unwrap();
            // One of a hundred stays, so that no segment becomes empty by itself.
            if n % 100 == 0 {
                kept.push(id);
            } else {
                spool.done(id);
            }
        }
        let on_disk: u64 = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .sum();
        assert!(on_disk <= 2 * max + 2 * SEGMENT_BYTES, "{on_disk}");
        assert_eq!(spool.ids(), kept);
        for id in kept {
            spool.done(id);
        }
        assert_eq!(spool.load(), (0, 0));
        assert!(fs::read_dir(folder.path()).unwrap().count() <= 2);
    }

    #[test]
    fn second_process_takes_a_folder_of_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("spool");
        let mut first = Spool::open(&folder, 100).unwrap();
        let mut second = Spool::open(&folder, 100).unwrap();
        first.append(b"1").unwrap();
        second.append(b"2").unwrap();
        assert_eq!(texts(&first), ["1"]);
        assert_eq!(texts(&second), ["2"]);
        assert!(parent.path().join("spool-1").is_dir());
    }
}
