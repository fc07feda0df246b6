//! `relayctl cat`: the records of a capture, merged by time.

mod args;
mod format;
mod printer;
mod template;

pub(crate) use args::CatArgs;
pub(super) use format::console_text;
use printer::Printer;

use super::walk::{self, Walk};
use crate::exit::Exit;

/// Does `relayctl cat`.
pub(crate) fn cat(args: &CatArgs) -> Exit {
    let walk = Walk {
        capture: args.capture.clone(),
        boot: args.boot,
        filter: args.filter(),
    };
    let shown = match args.follow {
        true => {
            let args = args.clone();
            walk::follow(walk, move |_| Printer::new(&args))
        }
        false => walk::stored(&walk, Printer::new(args)),
    };
    walk::exit(shown)
}
