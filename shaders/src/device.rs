//! The accelerator: opening it, submitting work to it and waiting for it, always within bounds.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Most pixels on a side of a picture: one 4K picture (3840 × 2160) fits, and every Vulkan device has at least this
/// much (`maxImageDimension2D`, Vulkan 1.0 table "Required Limits").
pub const LARGEST: u32 = 4096;

/// No result is worth waiting longer for: it exceeds every outlet's budget, and drivers reset a hung device by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// One picture is worked on while the next is uploaded; more in flight would only be older when it comes out.
pub(crate) const MOST_IN_FLIGHT: usize = 3;

/// Tells devices apart, so that what belongs to one is never handed to another: the library panics on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home(u64);

static OPENED: AtomicU64 = AtomicU64::new(0);

/// An open device and its queue, for any thread. Each wait for the device ends after two seconds; closing it waits for
/// what is under way, as long as the driver does.
pub struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    home: Home,
    name: String,
    kind: Kind,
    /// Why the device is of no more use, once it is.
    lost: Arc<OnceLock<String>>,
    in_flight: Mutex<VecDeque<wgpu::SubmissionIndex>>,
    uploaded: AtomicU64,
}

/// What does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A graphics processor.
    Hardware,
    /// A driver that computes on the CPU (Mesa's lavapipe, for one): correct, and slow.
    Software,
}

/// Why no device could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No Vulkan adapter, hardware or software.
    #[error("no Vulkan adapter ({0}): install a driver, or mesa-vulkan-drivers to compute on the CPU")]
    NoAdapter(String),
    /// There is an adapter, but it does not give a device with the limits asked for.
    #[error("the adapter {adapter} refused to open: {reason}")]
    Refused {
        /// The adapter's name.
        adapter: String,
        /// What it said.
        reason: String,
    },
}

/// Why a device did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The device is gone, with all that was in its memory.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// The device's memory is full; what was there before is unharmed.
    #[error("the device is out of memory")]
    OutOfMemory,
    /// A picture or a kernel belongs to another device.
    #[error("the {0} belongs to another device")]
    Foreign(&'static str),
    /// The work broke a rule of the device's.
    #[error("the device refused the work: {0}")]
    Refused(String),
    /// The work was not done in time; it may still be running.
    #[error("the device did not finish within {0:?}")]
    Timeout(Duration),
}

impl DeviceError {
    /// Only a newly opened device will work again.
    pub fn needs_reopen(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl Device {
    /// Opens the fastest Vulkan adapter, a software one if there is no other, with the limits of WebGPU's downlevel profile,
    /// except for sides of pictures up to [`LARGEST`] and for buffers as large as the adapter takes; and with what it has
    /// of two optional features, floats of 16 bits and time stamps. Takes as long as the driver does.
    pub fn open() -> Result<Self, OpenError> {
        // Flags follow the build profile and the environment unless given: a device is to be the same everywhere.
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::VULKAN,
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = at_once(instance.request_adapter(&options))
            .ok_or_else(|| OpenError::NoAdapter("the driver did not answer at once".into()))?
            .map_err(|problem| OpenError::NoAdapter(problem.to_string()))?;
        let info = adapter.get_info();
        let refused = |reason| OpenError::Refused {
            adapter: info.name.clone(),
            reason,
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("hearsight"),
            required_limits: limits(&adapter.limits()),
            required_features: adapter.features() & WELCOME,
            ..Default::default()
        };
        let (device, queue) = at_once(adapter.request_device(&descriptor))
            .ok_or_else(|| refused("it did not answer at once".into()))?
            .map_err(|problem| refused(problem.to_string()))?;
        let kind = match info.device_type {
            wgpu::DeviceType::Cpu => Kind::Software,
            _ => Kind::Hardware,
        };
        Ok(Self {
            lost: watch(&device),
            home: Home(OPENED.fetch_add(1, Ordering::Relaxed)),
            device,
            queue,
            name: info.name,
            kind,
            in_flight: Mutex::default(),
            uploaded: AtomicU64::new(0),
        })
    }

    /// The adapter's name as its driver tells it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it computes on a graphics processor or on the CPU.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes that crossed over so far: samples without the padding of rows, vectors, and the numbers of those who make
    /// pictures.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    /// Whether kernels may use floats of 16 bits.
    pub fn has_half(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// Whether it can tell when a kernel began and ended.
    pub fn has_time_stamps(&self) -> bool {
        self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Nanoseconds of a tick of its time stamps.
    pub(crate) fn tick(&self) -> f32 {
        self.queue.get_timestamp_period()
    }

    /// The most bytes that a kernel can be given in one buffer.
    pub(crate) fn largest_room(&self) -> u64 {
        let limits = self.device.limits();
        limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
    }

    pub(crate) fn home(&self) -> Home {
        self.home
    }

    /// Refuses what belongs to another device.
    pub(crate) fn owns(&self, what: &'static str, home: Home) -> Result<(), DeviceError> {
        if home == self.home {
            Ok(())
        } else {
            Err(DeviceError::Foreign(what))
        }
    }

    pub(crate) fn count_upload(&self, bytes: u64) {
        self.uploaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Makes things on the device; every error raised meanwhile on this thread is this call's.
    pub(crate) fn attempt<T>(&self, make: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> T) -> Result<T, DeviceError> {
        self.alive()?;
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make(&self.device, &self.queue);
        // The innermost first: popping in any other order panics.
        let validation = at_once(validation.pop()).flatten();
        let internal = at_once(internal.pop()).flatten();
        let memory = at_once(memory.pop()).flatten();
        // Loss and want of memory make invalid objects, about whose use the others complain.
        self.alive()?;
        match memory.or(internal).or(validation) {
            None => Ok(made),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(DeviceError::OutOfMemory),
            Some(problem) => Err(DeviceError::Refused(problem.to_string())),
        }
    }

    /// Records and submits work, after waiting until fewer than [`MOST_IN_FLIGHT`] submissions are under way.
    pub(crate) fn submit<T>(
        &self,
        work: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> (T, Option<wgpu::CommandBuffer>),
    ) -> Result<(T, wgpu::SubmissionIndex), DeviceError> {
        self.make_room()?;
        let (made, index) = self.attempt(|device, queue| {
            let (made, commands) = work(device, queue);
            (made, queue.submit(commands))
        })?;
        self.in_flight().push_back(index.clone());
        Ok((made, index))
    }

    /// Waits until the submission is done, at most [`PATIENCE`].
    pub(crate) fn wait(&self, index: &wgpu::SubmissionIndex) -> Result<(), DeviceError> {
        self.alive()?;
        let until = wgpu::PollType::Wait {
            submission_index: Some(index.clone()),
            timeout: Some(PATIENCE),
        };
        // The library panics where a device is lost during a wait: a loss is an error here.
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(until))) {
            Ok(Ok(_)) => self.alive(),
            Ok(Err(wgpu::PollError::Timeout)) => Err(DeviceError::Timeout(PATIENCE)),
            Ok(Err(problem)) => Err(DeviceError::Refused(problem.to_string())),
            Err(_) => {
                self.lost.get_or_init(|| "while waiting for it".into());
                self.alive()
            }
        }
    }

    fn make_room(&self) -> Result<(), DeviceError> {
        loop {
            let oldest = {
                let mut in_flight = self.in_flight();
                if in_flight.len() < MOST_IN_FLIGHT {
                    return Ok(());
                }
                in_flight.pop_front()
            };
            let Some(oldest) = oldest else { return Ok(()) };
            if let Err(problem) = self.wait(&oldest) {
                self.in_flight().push_front(oldest);
                return Err(problem);
            }
        }
    }

    fn alive(&self) -> Result<(), DeviceError> {
        match self.lost.get() {
            Some(why) => Err(DeviceError::Lost(why.clone())),
            None => Ok(()),
        }
    }

    fn in_flight(&self) -> std::sync::MutexGuard<'_, VecDeque<wgpu::SubmissionIndex>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({}, {:?})", self.name, self.kind)
    }
}

/// What is used where it is there.
const WELCOME: wgpu::Features = wgpu::Features::SHADER_F16.union(wgpu::Features::TIMESTAMP_QUERY);

fn limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_texture_dimension_2d: LARGEST,
        // The tensors of large pictures are large.
        max_buffer_size: adapter.max_buffer_size,
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size,
        ..wgpu::Limits::downlevel_defaults()
    }
}

/// Remembers why the device was lost; an error that no call owns counts as a loss, as its effects are unknown.
fn watch(device: &wgpu::Device) -> Arc<OnceLock<String>> {
    let lost = Arc::new(OnceLock::new());
    let reason = Arc::clone(&lost);
    device.set_device_lost_callback(move |why, message| {
        reason.get_or_init(|| format!("{why:?}: {message}"));
    });
    let reason = Arc::clone(&lost);
    // Without a handler the library panics.
    device.on_uncaptured_error(Arc::new(move |problem: wgpu::Error| {
        reason.get_or_init(|| problem.to_string());
    }));
    lost
}

/// On Vulkan the library answers before it returns its futures: nothing is to be waited for.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{device_or_skip, random_picture};
    use crate::{Texture, UploadError, colour};

    #[test]
    fn a_lost_device_is_an_error_and_not_a_panic() {
        let Some(device) = device_or_skip("the loss of a device") else {
            return;
        };
        let convert = colour::Convert::new(&device).unwrap();
        let picture = random_picture(&mut fastrand::Rng::with_seed(1), 16, 16);
        let uploaded = Texture::upload(&device, &picture).unwrap();
        let made = convert.run(&device, &uploaded, colour::Colour::default()).unwrap();
        let (_, index) = device.submit(|_, _| ((), None)).unwrap();

        device.device.destroy();

        let lost = |problem: &DeviceError| problem.needs_reopen();
        // The first wait may find the work done; after it the loss is known.
        let _ = device.wait(&index);
        assert!(made.pixels.read(&device).is_err_and(|problem| lost(&problem)));
        assert!(device.wait(&index).is_err_and(|problem| lost(&problem)));
        assert!(colour::Convert::new(&device).is_err_and(|problem| lost(&problem)));
        let again = convert.run(&device, &uploaded, colour::Colour::default());
        assert!(again.is_err_and(|problem| lost(&problem)));
        let again = Texture::upload(&device, &picture);
        assert!(matches!(again, Err(UploadError::Device(problem)) if lost(&problem)));
    }

    #[test]
    fn work_of_another_device_is_refused_and_harms_neither() {
        let (Some(one), Some(other)) = (device_or_skip("two devices"), device_or_skip("two devices")) else {
            return;
        };
        let convert = colour::Convert::new(&one).unwrap();
        let colour = colour::Colour::default();
        let picture = random_picture(&mut fastrand::Rng::with_seed(2), 8, 8);
        let foreign = Texture::upload(&other, &picture).unwrap();
        let own = Texture::upload(&one, &picture).unwrap();
        let refused = convert.run(&one, &foreign, colour);
        assert!(matches!(refused, Err(DeviceError::Foreign("picture"))), "{refused:?}");
        let refused = convert.run(&other, &foreign, colour);
        assert!(matches!(refused, Err(DeviceError::Foreign("kernel"))), "{refused:?}");
        let made = convert.run(&one, &own, colour).unwrap();
        let refused = made.pixels.read(&other);
        assert!(matches!(refused, Err(DeviceError::Foreign("picture"))), "{refused:?}");
        assert!(made.pixels.read(&one).is_ok());
    }

    #[test]
    fn submissions_in_flight_are_bounded() {
        let Some(device) = device_or_skip("the bound on submissions") else {
            return;
        };
        let picture = random_picture(&mut fastrand::Rng::with_seed(3), 33, 17);
        for _ in 0..4 * MOST_IN_FLIGHT {
            Texture::upload(&device, &picture).unwrap();
            assert!(device.in_flight().len() <= MOST_IN_FLIGHT);
        }
    }

    #[test]
    fn the_adapter_is_named() {
        let Some(device) = device_or_skip("the adapter's name") else {
            return;
        };
        assert!(!device.name().is_empty());
    }
}
