//! How fast a device moves memory and multiplies, against which its kernels are measured.

use crate::device::{Device, DeviceError, Kind};
use crate::kernel::{Kernel, Pass, Rooms, with_times};
use crate::maker::Precision;
use crate::texture::read_buffer;

/// What a device does at best, as measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Bytes read and written in a second, by a plain copy.
    pub bytes: f64,
    /// Multiplications in a second, each with an addition, of numbers in registers.
    pub multiplications: f64,
}

/// How often each is run; the best counts.
const RUNS: usize = 5;

/// Invocations of a workgroup of roof.wgsl.
const GROUP: u32 = 256;

/// Copies 64 MiB, and multiplies in registers, in these numbers. Errors: the device has no time stamps, or not these numbers.
pub fn measure(device: &Device, precision: Precision) -> Result<Roof, DeviceError> {
    if !device.has_time_stamps() {
        return Err(DeviceError::Refused("it has no time stamps".into()));
    }
    // Products of whole numbers are measured against those of floats.
    let precision = precision.of_answer();
    // A processor is done with little; a graphics processor hardly begins.
    let (turns, groups) = match device.kind() {
        Kind::Hardware => (256, 8192),
        Kind::Software => (4, 1024),
    };
    let count = (64 << 20) / (4 * precision.bytes() as u32);
    let (copy, multiply) = device.attempt(|gpu, _| kernels(gpu, precision))?;
    let rooms = Rooms::default();
    let mut best = Roof {
        bytes: 0.0,
        multiplications: 0.0,
    };
    for _ in 0..RUNS {
        let (timed, _) = device.submit(|gpu, queue| {
            let mut pass = Pass::timed(gpu, queue, &rooms);
            let [from, to] = [(); 2].map(|()| pass.room(64 << 20));
            let shape = pass.uniform(&[count, turns, 0, 0]);
            let buffers = [(0, &shape), (1, &from), (2, &to)];
            // The first one pays for what drivers put off.
            pass.run_groups(&copy, &buffers, &[], (count.div_ceil(GROUP), 1, 1));
            pass.run_groups(&copy, &buffers, &[], (count.div_ceil(GROUP), 1, 1));
            pass.run_groups(&multiply, &[(0, &shape), (2, &to)], &[], (groups, 1, 1));
            let recorded = pass.finish();
            [from, to].into_iter().for_each(|room| rooms.keep(room));
            (recorded.timed, Some(recorded.commands))
        })?;
        let Some((steps, ticks)) = timed else { break };
        let steps = with_times(steps, &read_buffer(device, &ticks)?, device.tick());
        let rate = |step: usize, work: f64| work / (steps[step].span[1] - steps[step].span[0]).max(1e-9);
        let products = f64::from(GROUP) * f64::from(groups) * f64::from(turns) * 128.0;
        best.bytes = best.bytes.max(rate(1, f64::from(2 << 26)));
        best.multiplications = best.multiplications.max(rate(2, products));
    }
    Ok(best)
}

fn kernels(gpu: &wgpu::Device, precision: Precision) -> (Kernel, Kernel) {
    let source = precision.source(include_str!("roof.wgsl"));
    let module = gpu.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("roof.wgsl"),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let kernel = |entry: &'static str| Kernel::new(gpu, &module, entry, entry);
    (kernel("copy"), kernel("multiply"))
}

/// What an invocation of `multiply` comes to.
pub fn reference(invocation: u32, turns: u32) -> [f32; 4] {
    [0.5_f32, 0.25, 0.5, 0.25].map(|a| {
        let mut chains: [f32; 8] = std::array::from_fn(|chain| (invocation % 8) as f32 + chain as f32 * a);
        for chain in &mut chains {
            for _ in 0..4 * turns {
                *chain = *chain * a + a;
            }
        }
        chains.iter().sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::device_or_skip;

    #[test]
    fn what_is_timed_is_done() {
        let Some(device) = device_or_skip("the roofs of a device") else {
            return;
        };
        let (copy, multiply) = device.attempt(|gpu, _| kernels(gpu, Precision::F32)).unwrap();
        let rooms = Rooms::default();
        let ((products, copies), _) = device
            .submit(|gpu, queue| {
                let mut pass = Pass::begin(gpu, queue, &rooms);
                let [products, copies] = [(); 2].map(|()| pass.room(512 * 16));
                let shape = pass.uniform(&[512, 3, 0, 0]);
                pass.run_groups(&multiply, &[(0, &shape), (2, &products)], &[], (2, 1, 1));
                pass.run_groups(&copy, &[(0, &shape), (1, &products), (2, &copies)], &[], (2, 1, 1));
                ((products, copies), Some(pass.finish().commands))
            })
            .unwrap();
        let [products, copies] = [products, copies].map(|buffer| read_buffer(&device, &buffer).unwrap());
        assert_eq!(products, copies);
        for (invocation, four) in (0..).zip(products.as_chunks::<16>().0) {
            for (found, expected) in four.as_chunks().0.iter().zip(reference(invocation, 3)) {
                let found = f32::from_le_bytes(*found);
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{invocation}: {found} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn a_device_with_time_stamps_has_roofs() {
        let Some(device) = device_or_skip("the roofs of a device").filter(Device::has_time_stamps) else {
            return;
        };
        let roof = measure(&device, Precision::F32).unwrap();
        assert!(roof.bytes > 1e6 && roof.multiplications > 1e6, "{roof:?}");
    }
}
