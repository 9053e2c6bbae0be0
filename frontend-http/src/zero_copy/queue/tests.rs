//! Bookkeeping of the queue: whatever is pushed and however little is sent at a time, each byte of each range goes out once,
//! in order, and nothing else is ever taken for a stand-in.

use super::*;
use crate::body::ReadFuture;
use proptest::prelude::*;
use std::os::fd::BorrowedFd;

/// A source that is only looked at.
#[derive(Debug)]
struct Named(u64);

impl FileSource for Named {
    fn len(&self) -> u64 {
        self.0
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn read_at(self: Arc<Self>, _: u64, _: usize) -> ReadFuture {
        Box::pin(async { Ok(Bytes::new()) })
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A body yields a stand-in for this many bytes at this offset.
    Push { offset: u64, len: usize },
    /// The socket takes this many bytes of what is first.
    Send(usize),
    /// Something shows a slice that is not what is left of the first stand-in.
    Forge { skip: usize, cut: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![1..=3_usize, 1..=200_000_usize, Just(FRAME_MAX)];
    prop_oneof![
        3 => (0..1_u64 << 40, len).prop_map(|(offset, len)| Step::Push { offset, len }),
        5 => prop_oneof![1..=5_usize, 1..=3_000_000_usize, Just(FRAME_MAX)].prop_map(Step::Send),
        1 => (0..3_usize, 0..3_usize).prop_map(|(skip, cut)| Step::Forge { skip, cut }),
    ]
}

/// One stand-in as hyper holds it.
struct Held {
    bytes: Bytes,
    offset: u64,
    file: u64,
}

proptest! {
    #[test]
    fn every_range_goes_out_once_and_in_order(steps in proptest::collection::vec(step(), 1..200)) {
        let queue = Queue::new().expect("address space");
        let progress = Arc::new(Progress::new(u64::MAX));
        let mut held: VecDeque<Held> = VecDeque::new();
        for (number, step) in (0_u64..).zip(steps) {
            match step {
                Step::Push { offset, len } => {
                    let file: Arc<dyn FileSource> = Arc::new(Named(number));
                    let bytes = queue.push(&file, offset, len, &progress);
                    prop_assert_eq!(bytes.len(), len);
                    prop_assert!(queue.is_stand_in(&bytes));
                    held.push_back(Held { bytes, offset, file: number });
                }
                Step::Send(len) => {
                    let Some(first) = held.front_mut() else { continue };
                    let front = queue.front(&first.bytes).expect("the first stand-in is known");
                    prop_assert_eq!((front.offset, front.left, front.file.len()), (first.offset, first.bytes.len(), first.file));
                    let sent = len.min(front.left);
                    queue.advance(sent);
                    first.offset += sent as u64;
                    let _ = first.bytes.split_to(sent);
                    if first.bytes.is_empty() {
                        held.pop_front();
                    }
                }
                Step::Forge { skip, cut } => {
                    if let Some(first) = held.front()
                        && skip + cut > 0
                        && skip + cut < first.bytes.len()
                    {
                        let forged = first.bytes.slice(skip..first.bytes.len() - cut);
                        prop_assert!(queue.front(&forged).is_err());
                    }
                    if let Some(second) = held.get(1) {
                        prop_assert!(queue.front(&second.bytes).is_err(), "not before its turn");
                    }
                }
            }
        }
        prop_assert_eq!(queue.lock().pending.len(), held.len());
    }

    #[test]
    fn ordinary_memory_is_never_a_stand_in(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
        let queue = Queue::new().expect("address space");
        prop_assert!(!queue.is_stand_in(&bytes));
        prop_assert!(queue.front(&bytes).is_err());
    }
}

#[test]
fn the_region_is_used_from_the_start_again_when_it_ends() {
    let queue = Queue::new().unwrap();
    let progress = Arc::new(Progress::new(u64::MAX));
    let file: Arc<dyn FileSource> = Arc::new(Named(1));
    let frames = queue.region.len() / FRAME_MAX + 3;
    for _ in 0..frames {
        let bytes = queue.push(&file, 0, FRAME_MAX - 1, &progress);
        assert_eq!(bytes.len(), FRAME_MAX - 1);
        assert_eq!(queue.front(&bytes).unwrap().left, FRAME_MAX - 1);
        queue.advance(FRAME_MAX - 1);
    }
    assert!(queue.lock().pending.is_empty());
}

#[test]
fn the_file_is_let_go_of_with_its_last_byte() {
    let queue = Queue::new().unwrap();
    let file: Arc<dyn FileSource> = Arc::new(Named(1));
    let bytes = queue.push(&file, 0, 10, &Arc::new(Progress::new(10)));
    assert_eq!(Arc::strong_count(&file), 2);
    queue.advance(9);
    assert_eq!(Arc::strong_count(&file), 2);
    assert!(queue.front(&bytes.slice(9..)).is_ok());
    queue.advance(1);
    assert_eq!(Arc::strong_count(&file), 1);
    assert!(queue.front(&bytes).is_err());
}
