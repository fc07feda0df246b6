//! loom: two that mount at the same time, in every interleaving of their steps.

use super::super::{CreateError, Mount, Namespace};
use super::{NoStreams, mount};
use loom::sync::Arc;
use loom::thread;

/// Mounts both on threads of their own; returns what became of it, and how many are mounted.
fn both(
    one: &'static Mount,
    other: &'static Mount,
) -> ([Result<(), CreateError>; 2], std::vec::Vec<&'static str>) {
    let names = Arc::new(Namespace::<2>::new());
    let first = {
        let names = Arc::clone(&names);
        thread::spawn(move || {
            let created = names.create(one);
            assert!(
                names.channel(one.path()).is_ok(),
                "it is there for who has made it"
            );
            created
        })
    };
    let second = names.create(other);
    assert!(names.channel(other.path()).is_ok());
    let results = [first.join().unwrap(), second];
    (results, names.channels().map(Mount::path).collect())
}

#[test]
fn loom_of_two_that_want_a_path_one_gets_it() {
    let (one, other) = (mount("/same", &NoStreams), mount("/same", &NoStreams));
    loom::model(move || {
        let (results, there) = both(one, other);
        assert!(results.contains(&Ok(())) && results.contains(&Err(CreateError::Taken)));
        assert_eq!(there, ["/same"]);
    });
}

#[test]
fn loom_of_two_that_want_a_place_each_gets_one() {
    let (one, other) = (mount("/one", &NoStreams), mount("/other", &NoStreams));
    loom::model(move || {
        let (results, mut there) = both(one, other);
        assert_eq!(results, [Ok(()), Ok(())]);
        there.sort_unstable();
        assert_eq!(there, ["/one", "/other"]);
    });
}
