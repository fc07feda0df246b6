//! Which end of what a class is, by its name.

/// What is entered, if a class is an entry: two parts of its name.
pub(super) fn name_of_entry(name: &str) -> Option<(&str, &str)> {
    name_of(name, "_entry", "syscall_entry_")
}

/// What is left, if a class is an exit.
pub(super) fn name_of_exit(name: &str) -> Option<(&str, &str)> {
    name_of(name, "_exit", "syscall_exit_")
}

fn name_of<'n>(name: &'n str, behind: &str, before: &str) -> Option<(&'n str, &'n str)> {
    match name.starts_with("syscall_") {
        true => Some(("syscall", name.strip_prefix(before)?)),
        false => Some((name.strip_suffix(behind)?, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_ends() {
        assert_eq!(
            name_of_entry("irq_handler_entry"),
            Some(("irq_handler", ""))
        );
        assert_eq!(name_of_exit("irq_handler_exit"), Some(("irq_handler", "")));
        assert_eq!(
            name_of_entry("syscall_entry_read"),
            Some(("syscall", "read"))
        );
        assert_eq!(name_of_exit("syscall_exit_read"), Some(("syscall", "read")));
        // A system call that is called like that is no end of another thing.
        assert_eq!(name_of_exit("syscall_entry_exit"), None);
        assert_eq!(name_of_entry("sched_process_exit"), None);
        assert_eq!(name_of_entry("reentry"), None);
    }
}
