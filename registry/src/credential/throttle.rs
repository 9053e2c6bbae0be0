//! Slows down who tries one wrong secret after the other. Memory is of a fixed size, whatever comes.
//!
//! Every attempt is counted before it is judged, in up to three buckets that run empty with time: that of the address and the access key
//! together, of the address, and of the access key. A right secret takes its count back. The bucket of a key is wide, and does not hold up
//! an address that came with the right secret lately: strangers cannot lock out the owner.
//!
//! Knows no clock: the caller says what time it is.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets in all, a power of two.
const BUCKETS: usize = 16 * 1024;

/// Places where a bucket can be; the emptiest one gives way.
const WAYS: usize = 8;

/// How long a success is remembered.
const TRUSTED: Duration = Duration::from_hours(24);

/// How much a bucket holds, and how fast it runs empty.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Attempts before any has run out.
    burst: u32,
    /// How long one attempt takes to run out.
    each: Duration,
}

const PAIR: Rate = Rate { burst: 5, each: Duration::from_secs(10) };
const ADDRESS: Rate = Rate { burst: 30, each: Duration::from_secs(2) };
const KEY: Rate = Rate { burst: 100, each: Duration::from_secs(1) };

/// A bucket: whose, and when it will have run empty. 0 is nobody's.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    whose: u64,
    /// Milliseconds since the throttle was made.
    empty_at: u64,
}

/// Counts attempts. One per registry.
#[derive(Debug)]
pub(crate) struct Throttle {
    start: Instant,
    hasher: RandomState,
    attempts: Mutex<Box<[Bucket]>>,
    /// Addresses that came with the right secret, until when that is remembered.
    trusted: Mutex<Box<[Bucket]>>,
}

/// Whose bucket it is.
#[derive(Hash)]
enum Whose<'a> {
    Pair(&'a str, IpAddr),
    Address(IpAddr),
    Key(&'a str),
}

/// Whose buckets an attempt is counted in; the first is that of address and key together.
type Counted = [Option<(u64, Rate)>; 3];

/// An attempt that was counted and not judged. Dropped without a word, it counts as a failure.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    counted: Counted,
}

impl Throttle {
    pub(crate) fn new(start: Instant) -> Self {
        let buckets = || Mutex::new(vec![Bucket::default(); BUCKETS].into_boxed_slice());
        Self { start, hasher: RandomState::new(), attempts: buckets(), trusted: buckets() }
    }

    /// Counts an attempt with the access key `key`, whether there is such a key or not.
    ///
    /// # Errors
    /// There were too many: how long to wait for the next.
    pub(crate) fn begin(
        &self,
        key: &str,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Attempt<'_>, Duration> {
        let now = self.millis(now);
        let counted = self.concerned(key, address, now);
        let mut buckets = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = longest_wait(&buckets, &counted, now) {
            return Err(wait);
        }
        for (whose, rate) in counted.iter().flatten() {
            let bucket = claim(&mut buckets, *whose, now);
            bucket.empty_at = bucket.empty_at.max(now) + millis(rate.each);
        }
        drop(buckets);
        Ok(Attempt { throttle: self, counted })
    }

    /// Whether an attempt would be refused now, and for how long; counts nothing.
    pub(crate) fn refuses(&self, key: &str, address: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let now = self.millis(now);
        let concerned = self.concerned(key, address, now);
        let buckets = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        longest_wait(&buckets, &concerned, now)
    }

    /// The buckets that an attempt goes into, that of the pair first.
    fn concerned(&self, key: &str, address: Option<IpAddr>, now: u64) -> Counted {
        let address = address.map(network);
        let pair = address.map(|address| self.number(&Whose::Pair(key, address)));
        let is_trusted = pair.is_some_and(|pair| self.is_trusted(pair, now));
        [
            pair.map(|pair| (pair, PAIR)),
            address.map(|address| (self.number(&Whose::Address(address)), ADDRESS)),
            (!is_trusted).then(|| (self.number(&Whose::Key(key)), KEY)),
        ]
    }

    fn is_trusted(&self, pair: u64, now: u64) -> bool {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        find(&trusted, pair).is_some_and(|bucket| bucket.empty_at > now)
    }

    fn number(&self, whose: &Whose<'_>) -> u64 {
        // 0 is nobody's.
        self.hasher.hash_one(whose).max(1)
    }

    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.start))
    }

    #[cfg(test)]
    fn in_use(&self, now: Instant) -> usize {
        let now = self.millis(now);
        self.attempts.lock().unwrap().iter().filter(|bucket| bucket.empty_at > now).count()
    }
}

impl Attempt<'_> {
    /// The secret was right.
    pub(crate) fn succeeded(self, now: Instant) {
        if let [Some((pair, _)), ..] = self.counted {
            let now = self.throttle.millis(now);
            let mut trusted = self.throttle.trusted.lock().unwrap_or_else(PoisonError::into_inner);
            claim(&mut trusted, pair, now).empty_at = now + millis(TRUSTED);
        }
        self.withdraw();
    }

    /// Nobody looked at the secret.
    pub(crate) fn withdraw(self) {
        let mut buckets = self.throttle.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for (whose, rate) in self.counted.iter().flatten() {
            if let Some(bucket) = find_mut(&mut buckets, *whose) {
                bucket.empty_at = bucket.empty_at.saturating_sub(millis(rate.each));
            }
        }
    }
}

/// What counts as one address: whoever has one of IPv6 has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// How long until one more attempt fits; `None` where it does now.
fn wait(buckets: &[Bucket], whose: u64, rate: Rate, now: u64) -> Option<Duration> {
    let full_at = find(buckets, whose)?.empty_at.max(now) + millis(rate.each);
    let over = full_at.saturating_sub(now + millis(rate.each * rate.burst));
    (over > 0).then(|| Duration::from_millis(over))
}

/// How long until one more attempt fits into all of them; `None` where it does now.
fn longest_wait(buckets: &[Bucket], concerned: &Counted, now: u64) -> Option<Duration> {
    concerned.iter().flatten().filter_map(|(whose, rate)| wait(buckets, *whose, *rate, now)).max()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn places(buckets: &[Bucket], whose: u64) -> std::ops::Range<usize> {
    let sets = (buckets.len() / WAYS).max(1) as u64;
    // Below the number of sets, which is a usize.
    let first = usize::try_from(whose % sets).unwrap_or_default() * WAYS;
    first..first + WAYS
}

fn find(buckets: &[Bucket], whose: u64) -> Option<&Bucket> {
    buckets.get(places(buckets, whose))?.iter().find(|bucket| bucket.whose == whose)
}

fn find_mut(buckets: &mut [Bucket], whose: u64) -> Option<&mut Bucket> {
    let places = places(buckets, whose);
    buckets.get_mut(places)?.iter_mut().find(|bucket| bucket.whose == whose)
}

/// The bucket of `whose`: its own, or the place of the one that is the first to be empty.
fn claim(buckets: &mut [Bucket], whose: u64, now: u64) -> &mut Bucket {
    let places = places(buckets, whose);
    let known = places.clone().find(|at| buckets.get(*at).is_some_and(|bucket| bucket.whose == whose));
    let emptiest = || places.clone().min_by_key(|at| buckets.get(*at).map(|bucket| bucket.empty_at.max(now)));
    let at = known.or_else(emptiest).unwrap_or_default();
    #[expect(
        clippy::indexing_slicing,
        reason = "one of the places that `places` gives, all of which there are"
    )]
    let bucket = &mut buckets[at];
    if bucket.whose != whose {
        *bucket = Bucket { whose, empty_at: now };
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Fails as often as it may.
    fn failures(throttle: &Throttle, key: &str, address: Option<IpAddr>, now: Instant) -> (u32, Duration) {
        for failures in 0..1000 {
            if let Err(wait) = throttle.begin(key, address, now) {
                return (failures, wait);
            }
        }
        panic!("no end");
    }

    #[test]
    fn wrong_secrets_are_slowed_down_and_forgiven_with_time() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        let (count, wait) = failures(&throttle, "a", Some(v4(1)), start);
        assert_eq!((count, wait), (PAIR.burst, PAIR.each));
        // Another key from there, and this key from elsewhere, may go on.
        assert!(throttle.begin("b", Some(v4(1)), start).is_ok());
        assert!(throttle.begin("a", Some(v4(2)), start).is_ok());
        assert!(
            throttle.begin("a", Some(v4(1)), start + wait.saturating_sub(Duration::from_millis(1))).is_err()
        );
        assert!(throttle.refuses("a", Some(v4(1)), start).is_some());
        assert!(throttle.refuses("a", Some(v4(1)), start + wait).is_none());
        assert!(throttle.begin("a", Some(v4(1)), start + wait).is_ok());
        assert!(throttle.begin("a", Some(v4(1)), start + wait).is_err());
        let (count, _) = failures(&throttle, "a", Some(v4(1)), start + Duration::from_hours(1));
        assert_eq!(count, PAIR.burst, "all is forgiven");
    }

    #[test]
    fn right_secrets_do_not_count() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        for _ in 0..1000 {
            throttle.begin("a", Some(v4(1)), start).unwrap().succeeded(start);
            throttle.begin("b", Some(v4(1)), start).unwrap().withdraw();
        }
        assert_eq!(throttle.in_use(start), 0);
        assert_eq!(failures(&throttle, "a", Some(v4(1)), start).0, PAIR.burst);
    }

    #[test]
    fn an_address_that_tries_many_keys_is_slowed_down() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        for i in 0..ADDRESS.burst {
            assert!(throttle.begin(&format!("key {i}"), Some(v4(1)), start).is_ok(), "{i}");
        }
        assert_eq!(throttle.begin("another", Some(v4(1)), start).unwrap_err(), ADDRESS.each);
        assert!(throttle.begin("another", Some(v4(2)), start).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        let address = |text: &str| Some(text.parse().unwrap());
        for i in 0..PAIR.burst {
            assert!(throttle.begin("a", address(&format!("2001:db8::{i:x}")), start).is_ok());
        }
        assert!(throttle.begin("a", address("2001:db8::ffff:0:1"), start).is_err());
        assert!(throttle.begin("a", address("2001:db8:0:1::1"), start).is_ok());
        let (count, _) = failures(&throttle, "b", address("::ffff:192.0.2.9"), start);
        assert_eq!(count, PAIR.burst);
        assert!(throttle.begin("b", Some(v4(9)), start).is_err(), "it is the same address");
    }

    #[test]
    fn strangers_do_not_lock_out_the_owner() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        throttle.begin("a", Some(v4(1)), start).unwrap().succeeded(start);
        let mut tried = 0;
        for host in 0..200_u8 {
            let stranger = Some(IpAddr::from([198, 51, 100, host]));
            tried += failures(&throttle, "a", stranger, start).0;
        }
        assert_eq!(tried, KEY.burst, "the key is slowed down for all of them together");
        throttle.begin("a", Some(v4(1)), start).unwrap().succeeded(start);
        assert!(throttle.begin("a", Some(v4(2)), start).is_err());
        let much_later = start + TRUSTED;
        for host in 0..200_u8 {
            failures(&throttle, "a", Some(IpAddr::from([198, 51, 100, host])), much_later);
        }
        assert!(throttle.begin("a", Some(v4(1)), much_later).is_err(), "trust ends");
    }

    #[test]
    fn without_an_address_the_key_counts() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        assert_eq!(failures(&throttle, "a", None, start), (KEY.burst, KEY.each));
    }

    #[test]
    fn memory_is_bounded_and_the_fullest_stay() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        failures(&throttle, "victim", Some(v4(1)), start);
        for i in 0..200_000_u32 {
            let [a, b, c, d] = i.to_be_bytes();
            let _ =
                throttle.begin(&format!("key {i}"), Some(IpAddr::from([a.wrapping_add(10), b, c, d])), start);
        }
        assert!(throttle.in_use(start) <= BUCKETS);
        assert!(
            throttle.begin("victim", Some(v4(1)), start).is_err(),
            "what is full does not give way to what is not"
        );
    }
}
