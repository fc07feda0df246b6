//! The rate of the time stamp counter as the processor or the hypervisor announces it.

/// Answers of the instruction `cpuid` to a leaf: EAX, EBX, ECX, EDX.
type Answer = [u32; 4];

/// The highest leaf of the processor is in EAX of this one (Intel SDM Vol. 2A, CPUID).
const BASIC: u32 = 0;
/// In ECX, bit 31: there is a hypervisor.
const FEATURES: u32 = 1;
/// The counter's rate as a ratio to a crystal.
const TSC_RATIO: u32 = 0x15;
/// The processor's base frequency, in MHz, which is close to that of its counter.
const FREQUENCY: u32 = 0x16;
/// The highest leaf of the hypervisor is in EAX of this one.
const HYPERVISOR: u32 = 0x4000_0000;
/// The counter's rate in kHz, as VMware and KVM have it.
const HYPERVISOR_TIMING: u32 = 0x4000_0010;

/// The rate that is announced, in Hz; `None` if there is none. Who asks for a leaf that there is
/// not gets the answer of another, so only leaves that there are count.
pub(super) fn tsc_hz(cpuid: impl Fn(u32) -> Answer) -> Option<u64> {
    let highest = cpuid(BASIC)[0];
    let ratio = || {
        let [denominator, numerator, crystal, _] = cpuid(TSC_RATIO).map(u64::from);
        (crystal * numerator).checked_div(denominator)
    };
    let base = || Some(u64::from(cpuid(FREQUENCY)[0] & 0xffff) * 1_000_000);
    let timing = || {
        let is_guest = highest >= FEATURES && cpuid(FEATURES)[2] & 1 << 31 != 0;
        // The hypervisor's leaves are a range of their own.
        let has_it = is_guest && (HYPERVISOR_TIMING..0x4001_0000).contains(&cpuid(HYPERVISOR)[0]);
        has_it.then(|| u64::from(cpuid(HYPERVISOR_TIMING)[0]) * 1_000)
    };
    let known = |hz: &u64| *hz != 0;
    timing()
        .filter(known)
        .or_else(|| ratio().filter(|_| highest >= TSC_RATIO).filter(known))
        .or_else(|| base().filter(|_| highest >= FREQUENCY).filter(known))
}

/// What the instruction answers.
pub(super) fn cpuid(leaf: u32) -> Answer {
    let answer = core::arch::x86_64::__cpuid(leaf);
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Answer = [0, 0, 1 << 31, 0];

    /// A processor that has these leaves, and answers with the data of the highest to others.
    fn hz(leaves: &[(u32, Answer)]) -> Option<u64> {
        tsc_hz(|leaf| {
            let known = leaves.iter().find(|known| known.0 == leaf);
            known.or(leaves.last()).map_or([0; 4], |known| known.1)
        })
    }

    #[test]
    fn the_rate_is_what_the_hypervisor_or_else_the_processor_says() {
        let ratio = (TSC_RATIO, [2, 200, 24_000_000, 0]);
        let base = (FREQUENCY, [2_600, 0, 0, 0]);
        let timing = (HYPERVISOR_TIMING, [2_611_200, 0, 0, 0]);
        let basic = (BASIC, [FREQUENCY, 0, 0, 0]);
        let guest = (FEATURES, GUEST);
        let range = (HYPERVISOR, [HYPERVISOR_TIMING, 0, 0, 0]);
        assert_eq!(
            hz(&[basic, guest, ratio, base, range, timing]),
            Some(2_611_200_000)
        );
        assert_eq!(
            hz(&[basic, (FEATURES, [0; 4]), ratio, base]),
            Some(2_400_000_000)
        );
        // A crystal that is not told.
        let ratio = (TSC_RATIO, [2, 200, 0, 0]);
        assert_eq!(
            hz(&[basic, (FEATURES, [0; 4]), ratio, base]),
            Some(2_600_000_000)
        );
        let ratio = (TSC_RATIO, [0, 200, 24_000_000, 0]);
        assert_eq!(
            hz(&[basic, (FEATURES, [0; 4]), ratio, base]),
            Some(2_600_000_000)
        );
    }

    #[test]
    fn leaves_that_there_are_not_announce_nothing() {
        // As QEMU's TCG: the highest leaf is 0xd, and it answers for all above.
        let noise = [7, 832, 832, 5];
        let basic = (BASIC, [0xd, 0, 0, 0]);
        let range = (HYPERVISOR, [0x4000_0001, 0, 0, 0]);
        assert_eq!(hz(&[basic, (FEATURES, GUEST), range, (0xd, noise)]), None);
        // No hypervisor: what it says of its leaves is somebody else's answer.
        let range = (HYPERVISOR, [u32::MAX, 9, 9, 9]);
        assert_eq!(hz(&[basic, (FEATURES, [0; 4]), range, (0xd, noise)]), None);
        assert_eq!(hz(&[basic, (FEATURES, GUEST), range, (0xd, noise)]), None);
        // They are there, and say nothing.
        let basic = (BASIC, [FREQUENCY, 0, 0, 0]);
        assert_eq!(hz(&[basic, (FEATURES, [0; 4]), (0x20, [0; 4])]), None);
    }
}
