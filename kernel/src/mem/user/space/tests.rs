use super::super::super::{arena, pool};
use super::*;

const CODE: u64 = 0x40_0000;

fn space(most: u64) -> UserSpace {
    UserSpace::new(most).expect("there is memory for a space")
}

/// What hardware makes of the entry of a page: present, writable, executable.
fn entry(space: &UserSpace, address: u64) -> Option<[bool; 3]> {
    space.inner.with(|inner| {
        let entry = inner.tables.entry(address)?.load(Ordering::Relaxed);
        (entry & PRESENT != 0).then_some([entry & 4 != 0, entry & 2 != 0, entry >> 63 == 0])
    })
}

#[test]
fn pages_are_zeroed_and_have_their_rights() {
    let _alone = arena::alone();
    let space = space(100);
    for (at, rights, bits) in [
        (CODE, Rights::ReadExecute, [true, false, true]),
        (CODE + 0x2000, Rights::Read, [true, false, false]),
        (CODE + 0x4000, Rights::ReadWrite, [true, true, false]),
    ] {
        assert_eq!(space.map(Some(at), 0x1001, rights), Ok(at));
        assert_eq!(entry(&space, at), Some(bits));
        assert_eq!(entry(&space, at + 0x1000), Some(bits));
        let mut bytes = [1; 0x2000];
        assert_eq!(space.read(at, &mut bytes), Ok(()));
        assert!(bytes.iter().all(|&byte| byte == 0));
        let is_writable = rights == Rights::ReadWrite;
        assert_eq!(space.write(at, b"x").is_ok(), is_writable);
        assert_eq!(space.load(at, b"y"), Ok(()), "the loader may");
    }
    assert_eq!(
        space.map(Some(CODE + 0x1000), 1, Rights::Read),
        Err(SpaceError::InUse)
    );
}

#[test]
fn bytes_go_over_the_ends_of_pages_or_not_at_all() {
    let _alone = arena::alone();
    let space = space(100);
    let at = space.map(None, 3 * SMALL, Rights::ReadWrite).unwrap();
    space
        .map(Some(at + 0x10_0000), SMALL, Rights::Read)
        .unwrap();
    let bytes: Vec<u8> = (0..2 * SMALL + 9).map(|i| (i % 251) as u8).collect();
    space.write(at + 7, &bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    space.read(at + 7, &mut back).unwrap();
    assert_eq!(back, bytes);
    // One byte too many, and none is written.
    let end = at + 3 * SMALL;
    assert_eq!(space.write(end - 4, &[9; 5]), Err(SpaceError::BadAddress));
    let mut last = [1; 4];
    space.read(end - 4, &mut last).unwrap();
    assert_eq!(last, [0; 4]);
    for from in [
        0,
        at - 1,
        end,
        CODE,
        USER_END,
        1 << 47,
        u64::MAX,
        u64::MAX - 3,
    ] {
        assert_eq!(space.read(from, &mut [0; 5]), Err(SpaceError::BadAddress));
        assert_eq!(space.write(from, &[0; 5]), Err(SpaceError::BadAddress));
        assert_eq!(space.load(from, &[0; 5]), Err(SpaceError::BadAddress));
    }
}

#[test]
fn all_frames_come_back() {
    let _alone = arena::alone();
    let before = pool::free();
    let space = space(1000);
    assert_eq!(space.frames(), before - pool::free());
    let code = space.map(Some(CODE), 50_000, Rights::ReadExecute).unwrap();
    let data = space.map(None, 100 * SMALL, Rights::ReadWrite).unwrap();
    let high = space
        .map(Some(USER_END - SMALL), 1, Rights::ReadWrite)
        .unwrap();
    assert_eq!(space.frames(), before - pool::free());
    let with_all = space.frames();
    // The middle, then the rest, then what is not there any more.
    space.unmap(data + 10 * SMALL, 20 * SMALL).unwrap();
    assert_eq!(space.frames(), with_all - 20);
    assert_eq!(entry(&space, data + 10 * SMALL), None);
    assert!(space.read(data + 10 * SMALL, &mut [0]).is_err());
    assert!(space.read(data + 9 * SMALL, &mut [0; 4096]).is_ok());
    assert_eq!(space.unmap(data, 100 * SMALL), Err(SpaceError::BadAddress));
    space.unmap(data, 10 * SMALL).unwrap();
    space.unmap(data + 30 * SMALL, 70 * SMALL).unwrap();
    assert_eq!(space.frames(), with_all - 100);
    assert_eq!(space.frames(), before - pool::free());
    assert_eq!(space.map(None, SMALL, Rights::Read), Ok(data), "its place");
    for at in [data, code, high] {
        assert_ne!(entry(&space, at), None);
    }
    drop(space);
    assert_eq!(pool::free(), before);
}

#[test]
fn a_quota_is_kept_and_what_does_not_fit_leaves_nothing() {
    let _alone = arena::alone();
    let before = pool::free();
    assert!(UserSpace::new(0).is_err());
    let space = space(20);
    assert_eq!(
        space.map(None, 21 * SMALL, Rights::Read),
        Err(SpaceError::Quota)
    );
    // At once, whatever it would be page by page.
    assert_eq!(
        space.map(None, 1 << 46, Rights::Read),
        Err(SpaceError::Quota)
    );
    // The pages would fit, the tables do not.
    assert_eq!(
        space.map(None, 18 * SMALL, Rights::Read),
        Err(SpaceError::Quota)
    );
    let tables = space.frames();
    assert!(tables <= 4 && tables == before - pool::free());
    let at = space
        .map(None, (20 - tables) * SMALL, Rights::Read)
        .unwrap();
    assert_eq!(space.frames(), 20);
    assert_eq!(space.map(None, 1, Rights::Read), Err(SpaceError::Quota));
    space.unmap(at, SMALL).unwrap();
    assert_eq!(space.frames(), 19);
    drop(space);
    assert_eq!(pool::free(), before);
}

#[test]
fn programs_leave_the_kernel_its_reserve() {
    let _alone = arena::alone();
    let before = pool::free();
    let space = space(u64::MAX);
    assert_eq!(
        space.map(None, before * SMALL, Rights::ReadWrite),
        Err(SpaceError::NoFrames)
    );
    // Tables stay for the next time.
    assert!(pool::free() > before - 30);
    let mut count = 0;
    while space.map(None, 64 * SMALL, Rights::ReadWrite).is_ok() {
        count += 1;
    }
    assert!(count > 10 && pool::free() >= 256 && pool::free() < 256 + 64 + 8);
    drop(space);
    assert_eq!(pool::free(), before);
}

#[test]
fn shared_frames_are_charged_and_not_given_back() {
    let _alone = arena::alone();
    let before = pool::free();
    let memory = arena::begin();
    let blocks = |at: u64| {
        super::super::super::blocks::add(at, 4 * SMALL);
        SharedBlock::holding(at + 5).expect("it is known")
    };
    let (space, block) = (space(100), blocks(0xffff_c000_1230_0000));
    let mapped = space
        .map_frames(block, 3 * SMALL, |page| Some(memory.start + page * SMALL))
        .unwrap();
    assert_eq!(entry(&space, mapped), Some([true, false, false]));
    assert_eq!(space.frames(), before - pool::free() + 3);
    assert!(space.write(mapped, b"x").is_err());
    assert!(space.load(mapped, b"x").is_err());
    assert!(space.read(mapped + 2 * SMALL, &mut [0; 4096]).is_ok());
    space.unmap(mapped + SMALL, SMALL).unwrap();
    assert!(space.read(mapped + SMALL, &mut [0]).is_err());
    assert_eq!(space.frames(), before - pool::free() + 2);
    drop(space);
    assert_eq!(pool::free(), before);
    let start = 0xffff_c000_1230_0000;
    assert!(super::super::super::blocks::leave(start), "nobody holds it");
    // What is behind the block, or not of whole pages, is none of a program's business.
    let (space, block) = (
        UserSpace::new(100).expect("memory"),
        blocks(0xffff_c000_4560_0000),
    );
    for (offset, bytes) in [
        (0, 5 * SMALL),
        (SMALL, 4 * SMALL),
        (1, SMALL),
        (0, 1),
        (u64::MAX, 2),
    ] {
        let result = space.map_shared(&block, offset, bytes);
        assert_eq!(result, Err(SpaceError::BadAddress));
    }
}
