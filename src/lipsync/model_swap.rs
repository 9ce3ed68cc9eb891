//! The model: what can be checked at once is, its networks are loaded in the background, and it
//! takes over between two frames.
//!
//! Must not know when frames go out.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, atomic::Ordering, mpsc},
};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use crate::lipsync::{
    background::{self, LoadState, Loader, Order},
    frame_pass::FramePass,
    imp::{CAT, Lipsync, lock},
    log::Time,
    messages,
    settings::{Settings, Setup},
    stream_state::Stream,
};
use lipsync_core::{
    Error,
    assembly::{self, Prepared, Step},
    catalogue,
    inference::{self, Calls, Fallback, Provider, Snapshot, onnx::AtWork},
    render::{Controls, Engine},
};

/// Of the PROGRESS messages while a model is loaded.
const PROGRESS_CODE: &str = "open-model";
const CANCELED: &str = "The model is no longer needed";
const FAILED: &str = "The model cannot be loaded";
const STAYS: &str = "The model that was there before stays";

/// The model that draws and those that are to take its place.
#[derive(Default)]
pub struct ModelSwap {
    /// In place of what the property `model` names.
    source: Mutex<Option<catalogue::Source>>,
    model: Mutex<Model>,
    pub loader: Loader<Engine>,
    /// Of the networks that draw.
    interrupt: Mutex<inference::Interrupt>,
}

impl ModelSwap {
    /// Has the networks give up the run that is under way, and every further one.
    pub fn interrupt(&self) {
        lock(&self.interrupt).set();
    }

    /// From here on runs go to their end.
    pub fn resume(&self) {
        lock(&self.interrupt).clear();
    }
}

/// Which model there is, and which is on its way.
#[derive(Default)]
struct Model {
    /// What was loaded last was built from this.
    loaded: Option<Setup>,
    /// The files of that model.
    files: Snapshot,
    /// `model` was set to what is loaded once more, and its files are others now.
    is_stale: bool,
    /// What is being loaded, or has failed.
    wanted: Option<Setup>,
    /// From PAUSED on another set-up takes effect while frames flow.
    is_swapped: bool,
}

impl Model {
    fn newest(&self) -> Option<&Setup> {
        self.wanted.as_ref().or(self.current())
    }

    /// What is loaded, if it is still what its files say.
    fn current(&self) -> Option<&Setup> {
        self.loaded.as_ref().filter(|_| !self.is_stale)
    }

    fn has_loaded(&mut self, setup: Setup, files: Snapshot) {
        self.loaded = Some(setup);
        self.files = files;
        self.is_stale = false;
        self.wanted = None;
    }
}

/// An engine with the providers that it does without; `None` where nobody wants it any more.
type Loaded = Result<Option<(Engine, Vec<Fallback>)>, Error>;

impl ModelSwap {
    pub fn set_source(&self, source: catalogue::Source) {
        *lock(&self.source) = Some(source);
    }

    /// Begins to load the model, unless that of the same settings is there or on its way. Fails
    /// where a person has to do something about it and that can be told at once.
    pub fn set_up(&self, imp: &Lipsync) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&imp.settings).clone();
        if lock(&self.model).newest() == Some(&settings.setup) {
            return Ok(());
        }
        self.unload(imp);
        let config = self.engine_config(&settings);
        post_progress(imp, gst::ProgressType::Start, opening(&config));
        let refused = |err: Error| {
            gst::error!(CAT, imp = imp, "{err}");
            post_progress(imp, gst::ProgressType::Error, FAILED);
            messages::error_message(&err)
        };
        let prepared = Prepared::new(&config).map_err(refused)?;
        let setup = settings.setup;
        know_delays(
            imp,
            prepared.look_ahead_ns().unwrap_or(0),
            setup.batch_size as usize,
        );
        if prepared.has_networks() {
            let mut model = lock(&self.model);
            return self.load(imp, &mut model, setup, |goes_on| prepared.load(goes_on));
        }
        if let Some((engine, fallbacks)) = prepared.load(|_| true).map_err(refused)? {
            lock(&self.model).has_loaded(setup, engine.files().clone());
            tell_loaded(imp, &About::of(&engine), fallbacks, true);
            self.loader.put(engine);
        }
        Ok(())
    }

    /// From here on a change of the settings has another model loaded at once.
    pub fn swap_from_now_on(&self, imp: &Lipsync) {
        lock(&self.model).is_swapped = true;
        // What was changed since they were looked at.
        self.swap(imp);
    }

    /// Until the next start only what is on its way goes on. What has failed is tried again then.
    pub fn stop_swapping(&self) {
        let mut model = lock(&self.model);
        model.is_swapped = false;
        if self.loader.load_state() == LoadState::Failed {
            model.wanted = None;
        }
    }

    /// The settings have changed: while frames flow, what they ask for is loaded beside the model
    /// that draws.
    pub fn swap(&self, imp: &Lipsync) {
        let mut model = lock(&self.model);
        if !model.is_swapped || model.newest() == Some(&lock(&imp.settings).setup) {
            return;
        }
        let settings = lock(&imp.settings).clone();
        let was_busy = self.loader.cancel();
        model.wanted = None;
        if model.current() == Some(&settings.setup) {
            drop(model);
            post_canceled(imp, was_busy);
            return;
        }
        let config = self.engine_config(&settings);
        let text = opening(&config);
        let (go, may_go) = mpsc::channel::<()>();
        let started = self.load(imp, &mut model, settings.setup, move |goes_on| {
            // Messages come in order.
            let _ = may_go.recv();
            Prepared::new(&config)?.load(goes_on)
        });
        drop(model);
        post_canceled(imp, was_busy);
        post_progress(imp, gst::ProgressType::Start, text);
        drop(go);
        if let Err(message) = started {
            imp.post_error_message(message);
        }
    }

    /// `model` was set, maybe to what it was: files that have changed since they were read are read
    /// again, and what is on its way begins anew.
    pub fn reread(&self, imp: &Lipsync) {
        let files = lock(&self.model).files.clone();
        let is_stale = files.has_changed();
        {
            let mut model = lock(&self.model);
            model.is_stale = is_stale;
            if model.wanted.as_ref() == Some(&lock(&imp.settings).setup) {
                model.wanted = None;
            }
        }
        self.swap(imp);
    }

    /// Drops the model and whatever is on its way.
    pub fn unload(&self, imp: &Lipsync) {
        let was_busy = {
            let mut model = lock(&self.model);
            *model = Model {
                is_swapped: model.is_swapped,
                ..Model::default()
            };
            self.loader.cancel()
        };
        post_canceled(imp, was_busy);
        drop(self.loader.take());
        // Whose networks may be at work on a frame that nobody waits for any more.
        self.interrupt();
        drop(imp.take_stream());
        let mut stats = lock(&imp.stats);
        stats.provider = None;
        stats.model.clear();
        stats.calls = Calls::default();
    }

    fn engine_config(&self, settings: &Settings) -> assembly::Config {
        messages::route_runtime_log();
        let mut config = settings.engine_config();
        if let Some(source) = lock(&self.source).clone() {
            config.generator = source;
        }
        config
    }

    /// `make` is told to ask before each step whether it is still to go on.
    fn load(
        &self,
        imp: &Lipsync,
        model: &mut Model,
        setup: Setup,
        make: impl FnOnce(&mut dyn FnMut(Step) -> bool) -> Loaded + Send + 'static,
    ) -> Result<(), gst::ErrorMessage> {
        model.wanted = Some(setup.clone());
        let weak = imp.downgrade();
        let work = AtWork::begin();
        let started = self.loader.load(move |order| {
            work.in_this_thread();
            let mut goes_on = |step| {
                let this = weak.upgrade().filter(|_| order.is_wanted());
                this.inspect(|this| post_progress(this, gst::ProgressType::Continue, about(step)))
                    .is_some()
            };
            let loaded = catch_unwind(AssertUnwindSafe(|| make(&mut goes_on)));
            let loaded = loaded.unwrap_or_else(|_| Err(panicked(&setup)));
            if let Some(this) = weak.upgrade() {
                this.catch_panic(|| (), |this| this.models.settle(this, order, setup, loaded));
            }
        });
        started.map_err(|err| gst::error_msg!(gst::CoreError::Thread, ("no thread: {err}")))
    }

    /// In the loader's thread.
    fn settle(&self, imp: &Lipsync, order: Order<Engine>, setup: Setup, loaded: Loaded) {
        match loaded {
            Ok(Some((engine, fallbacks))) => {
                let about = About::of(&engine);
                let files = engine.files().clone();
                let mut model = lock(&self.model);
                let is_first = model.loaded.is_none();
                let delivered = order.deliver(engine);
                if delivered.is_ok() {
                    model.has_loaded(setup, files);
                }
                drop(model);
                if delivered.is_ok() {
                    tell_loaded(imp, &about, fallbacks, is_first);
                }
            }
            Ok(None) => (),
            Err(err) => self.refuse(imp, order, &setup, &err),
        }
    }

    /// A model that cannot be loaded is an error, unless there is another one that runs: then all
    /// that says what was asked for says again what runs.
    fn refuse(&self, imp: &Lipsync, order: Order<Engine>, setup: &Setup, err: &Error) {
        gst::error!(CAT, imp = imp, "{err}");
        let obj = imp.obj();
        let mut model = lock(&self.model);
        let Some(loaded) = model.loaded.clone() else {
            drop(model);
            // Before frames fail of it: who stops at the first error is to see this one.
            if order.is_wanted() {
                post_progress(imp, gst::ProgressType::Error, FAILED);
                imp.post_error_message(messages::error_message(err));
            }
            order.fail();
            return;
        };
        if !order.withdraw() {
            return;
        }
        model.wanted = None;
        // Until `model` is set again.
        model.is_stale = false;
        let changed = lock(&imp.settings).put_back(setup, loaded);
        drop(model);
        post_progress(imp, gst::ProgressType::Error, FAILED);
        messages::post_warning(obj.upcast_ref(), err, STAYS);
        for name in changed {
            obj.notify(name);
        }
    }

    /// Whether the next frame can go on: drawn upon by the model that was loaded last, or untouched
    /// where it need not or cannot wait for one.
    pub fn has_arrived(
        &self,
        imp: &Lipsync,
        stream: &mut Stream,
        listens: bool,
        controls: &Controls,
    ) -> Result<bool, gst::FlowError> {
        self.take_over(imp, stream);
        if stream.engine().is_some() || !listens || !controls.draws() {
            return Ok(true);
        }
        let is_live = imp.obj().latency().is_some();
        if !is_live {
            self.loader.wait(|| is_patient(imp));
            self.take_over(imp, stream);
        }
        match self.loader.load_state() {
            _ if stream.engine().is_some() => Ok(true),
            LoadState::Failed => Err(gst::FlowError::Error),
            LoadState::Busy => Ok(is_live),
            LoadState::Idle => Ok(false),
        }
    }

    /// Goes on with the engine that was loaded last.
    fn take_over(&self, imp: &Lipsync, stream: &mut Stream) {
        let Some(mut engine) = self.loader.take() else {
            return;
        };
        // What was collected is heard as far as the engine before hears.
        FramePass::new(imp, stream).send_batch_early();
        engine.set_tracking(lock(&imp.settings).tracking());
        if let Err(err) = engine.know_mouths(stream.known_mouths.as_deref()) {
            imp.post_error_message(messages::error_message(&err));
            stream.failed = Some(gst::FlowError::Error);
        }
        let about = About::of(&engine);
        show(imp, &about);
        gst::info!(CAT, imp = imp, "Goes on with {about}");
        *lock(&self.interrupt) = engine.interrupt();
        if let Some(old) = stream.go_on_with(engine) {
            // May take a while.
            let work = AtWork::begin();
            background::aside(move || {
                work.in_this_thread();
                drop(old);
            });
        }
        know_delays(imp, about.look_ahead_ns, about.batch);
    }
}

fn tell_loaded(imp: &Lipsync, about: &About, fallbacks: Vec<Fallback>, is_first: bool) {
    if is_first {
        know_delays(imp, about.look_ahead_ns, about.batch);
        show(imp, about);
    }
    gst::info!(CAT, imp = imp, "Loaded {about}");
    for fallback in fallbacks {
        gst::element_imp_warning!(
            imp,
            gst::LibraryError::Init,
            (
                "a network runs on `{}`, not on the execution provider `{}`: {}",
                fallback.taken.name(),
                fallback.requested,
                fallback.reason
            )
        );
    }
    let wanted = lock(&imp.settings).setup.batch_size as usize;
    if about.batch < wanted {
        gst::element_imp_warning!(
            imp,
            gst::LibraryError::Settings,
            (
                "batch-size is {wanted}, but `{}` draws {} at once, and so many frames are \
                 collected: expected a network whose first dimension is open, or {wanted}",
                about.name,
                about.batch
            )
        );
    }
    post_progress(imp, gst::ProgressType::Complete, &about.line);
}

/// What `stats` says of the model that draws.
fn show(imp: &Lipsync, about: &About) {
    let mut stats = lock(&imp.stats);
    stats.provider = about.provider;
    stats.model.clone_from(&about.name);
    stats.calls = about.calls.clone();
}

/// Whether the streaming thread has nothing better to do than to wait for the model.
fn is_patient(imp: &Lipsync) -> bool {
    let audio_pad = imp.audio.pad();
    let is_open =
        |pad: &gst_base::AggregatorPad| !pad.pad_flags().contains(gst::PadFlags::FLUSHING);
    lock(&imp.settings).controls().draws()
        && !imp.stops.load(Ordering::Acquire)
        && is_open(&imp.video.pad)
        && audio_pad.is_some_and(|pad| is_open(&pad))
}

/// `batch` is what the networks take at once.
fn know_delays(imp: &Lipsync, look_ahead_ns: i64, batch: usize) {
    let wanted = lock(&imp.settings).setup.batch_size as usize;
    imp.latency.set_model(look_ahead_ns, batch.min(wanted));
    imp.latency.update(imp);
}

fn post_progress(imp: &Lipsync, kind: gst::ProgressType, text: &str) {
    let obj = imp.obj();
    let message = gst::message::Progress::builder(kind, PROGRESS_CODE, text).src(&*obj);
    // Fails where there is no bus: then nobody waits for it.
    let _ = obj.post_message(message.build());
}

fn post_canceled(imp: &Lipsync, was_busy: bool) {
    if was_busy {
        post_progress(imp, gst::ProgressType::Canceled, CANCELED);
    }
}

/// What people are told of an engine.
struct About {
    name: String,
    /// With licence and source.
    line: String,
    provider: Option<&'static str>,
    calls: Calls,
    look_ahead_ns: i64,
    /// Faces that it draws at once.
    batch: usize,
}

impl About {
    fn of(engine: &Engine) -> Self {
        Self {
            name: engine.model_name().to_owned(),
            line: engine.about().to_owned(),
            provider: engine.active_provider().map(Provider::name),
            calls: engine.calls().clone(),
            look_ahead_ns: engine.hearing().look_ahead_ns,
            batch: engine.batch(),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`, on {}: {} look-ahead, draws {} at once",
            self.name,
            self.provider.unwrap_or("nothing"),
            Time(self.look_ahead_ns),
            self.batch
        )
    }
}

/// A fault of this plugin's, or of what a model's files have in them; the log has what the thread said.
fn panicked(setup: &Setup) -> Error {
    let built_in = || "inside the plugin".to_owned();
    Error::ModelUnreadable {
        path: setup.model.clone().unwrap_or_else(built_in).into(),
        reason: "the thread that opened it panicked".into(),
    }
}

fn opening(config: &assembly::Config) -> &'static str {
    match config.runtime.provider {
        Provider::TensorRt => {
            "Opening the model: TensorRT takes minutes to compile one that cache-dir does not hold"
        }
        _ => "Opening the model",
    }
}

fn about(step: Step) -> &'static str {
    match step {
        Step::Mouths => "Loading the networks that hear and draw",
        Step::Faces => "Loading the networks that find faces",
    }
}
