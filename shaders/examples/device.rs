//! `cargo run --release -p hearsight-shaders --example device`: what the steps of one picture of 1920 × 1080 take on the
//! device of this machine, and how near that is to what it does at best. Needs nothing but a Vulkan driver.
//! The last line is one JSON object.

use std::process::ExitCode;

use hearsight_shaders::interpolate::Rung;
use hearsight_shaders::maker::{Maker, Precision};
use hearsight_shaders::{Device, measure};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("device: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::open()?;
    println!("{} ({:?})", device.name(), device.kind());
    let mut last = Vec::new();
    for precision in Precision::ALL {
        let maker = match Maker::with(&device, precision) {
            Ok(maker) => maker,
            Err(why) => {
                println!("\n{precision:?}: {why}");
                continue;
            }
        };
        for rung in [Rung::Vectors, Rung::Full] {
            let report = measure::picture(&device, &maker, rung)?;
            println!("\n{rung:?}, {precision:?}: {report}");
            last.push(format!(
                "\"{rung:?} {precision:?}\":{{\"ms\":{:.4},\"dispatches\":{},\"roof_share\":{:.4}}}",
                report.seconds * 1e3,
                report.steps.len(),
                report.share()
            ));
        }
        println!(
            "{:.1} MB of the device's memory are kept between pictures",
            maker.memory() as f64 / 1e6
        );
    }
    println!("{{\"adapter\":{:?},{}}}", device.name(), last.join(","));
    Ok(())
}
