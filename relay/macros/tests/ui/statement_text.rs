//! Format strings that are wrong.

fn main() {
    let x = 1;
    relay::info!("{} {}", x);
    relay::info!("{}", x, 2);
    relay::info!("{:q}", x);
    relay::info!("{x");
    relay::info!("x}");
    relay::info!("{0:.1$}", x);
    relay::info!("{y} and {x}");
    relay::info!("{x.y}");
    relay::info!("{n}", n = x, n = 2);
    relay::info!("{}", n = x, 2);
    relay::info!(x);
    relay::info!();
    relay::info!("{}" x);
    relay::info!("{}", 1 +);
}
