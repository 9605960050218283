//! `cargo run --release -p hearsight-shaders --example device`: what the steps of one picture of 1920 × 1080 take on the
//! device of this machine, and how near that is to what it does at best. Needs nothing but a Vulkan driver.
//! The last line is one JSON object.

use std::process::ExitCode;

use hearsight_shaders::interpolate::Rung;
use hearsight_shaders::maker::{Maker, Precision};
use hearsight_shaders::measure::{self, Bound, Report};
use hearsight_shaders::{Device, UploadError};

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
            let report = measure(&device, &maker, rung)?;
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

fn measure(device: &Device, maker: &Maker, rung: Rung) -> Result<Report, UploadError> {
    let report = measure::picture(device, maker, rung)?;
    println!(
        "\n{rung:?}, {:?}: {:.3} ms in {} dispatches, {:.0} % of what the roofs allow ({:.0} GB/s copied, {:.2} T multiplications/s)",
        maker.precision(),
        report.seconds * 1e3,
        report.steps.len(),
        report.share() * 100.0,
        report.roof.bytes / 1e9,
        report.roof.multiplications / 1e12,
    );
    println!(
        "{:<24}{:>10}{:>10}{:>10}{:>8}  bound by",
        "step", "ms", "MB", "M mult.", "roof"
    );
    for step in &report.steps {
        let seconds = step.span[1] - step.span[0];
        let (best, bound) = report.at_best(step);
        println!(
            "{:<24}{:>10.4}{:>10.2}{:>10.1}{:>7.0}%  {}",
            step.name,
            seconds * 1e3,
            step.bytes as f64 / 1e6,
            step.multiplications as f64 / 1e6,
            best / seconds.max(1e-9) * 100.0,
            match bound {
                Bound::Memory => "memory",
                Bound::Arithmetic => "arithmetic",
            }
        );
    }
    Ok(report)
}
