//! `tracectl`: lists the files of relay with what is known of them. Arguments like `trace=all` or
//! `log=debug` set filters first.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use relay_rt::files::Files;
use relay_rt::relay;

relay_rt::entry!(run);

fn run(arguments: &'static str) -> u32 {
    let files = Files::given();
    let mut code = 0;
    for argument in arguments.split_ascii_whitespace() {
        let Some((key, value)) = argument.split_once('=') else {
            relay::error!("tracectl: '{argument}' is not KEY=VALUE");
            return 2;
        };
        match files.filter(key, value) {
            Ok(()) => relay::info!("tracectl: {key} is {value}"),
            Err(error) => {
                relay::error!("tracectl: {key}={value} was not set: {}", error);
                code = 1;
            }
        }
    }
    for path in files.paths() {
        let path = path.text();
        // It is opened to look at it: that disturbs nobody.
        match files.observe(path).and_then(|file| file.info()) {
            Ok(info) => {
                let (size, count) = (info.subbuf_size, info.subbuf_count);
                let (committed, lost) = (info.committed, info.lost);
                let overwritten = info.overwritten;
                relay::info!(
                    "tracectl: {path} cpu {} ring {count}x{size} committed {committed} lost {lost} overwritten {overwritten} flags {:#x}",
                    info.cpu,
                    info.flags
                );
            }
            Err(error) => {
                relay::error!("tracectl: {path}: {}", error);
                code = 1;
            }
        }
    }
    code
}
