//! The threads that hash: few, behind everything else, each with memory of its own.

use argon2::Block;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// For how long a thread without a job keeps its memory.
const KEPT: Duration = Duration::from_secs(10);

/// What one of the threads is to do.
pub(super) type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// What a hash is computed in. Kept from one to the next: to get 46 MiB from the kernel and to give them back is ten
/// thousand page faults and a few milliseconds in which this core does nothing else, whatever its priorities.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// So many blocks, of any content: a hash overwrites them before it reads them.
    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0 = vec![Block::default(); count];
        }
        self.0.get_mut(..count).unwrap_or_default()
    }
}

/// The threads. They end with the last handle.
pub(super) struct Threads(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to do, or nothing will ever be.
    woken: Condvar,
}

/// Jobs in the order of asking.
#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    over: bool,
}

impl Threads {
    /// So many. They live on: a new one for each hash would be owed a slice of the core right away, and take it before
    /// those that could run already.
    pub(super) fn start(count: NonZeroUsize) -> Self {
        let shared = Arc::<Shared>::default();
        for _ in 0..count.get() {
            let shared = shared.clone();
            let started =
                std::thread::Builder::new().name("password".to_owned()).spawn(move || shared.work());
            if let Err(error) = started {
                tracing::error!(error = &error as &dyn std::error::Error, "no thread to hash passwords");
            }
        }
        Self(shared)
    }

    /// Has `job` done when it is its turn.
    pub(super) fn run(&self, job: Job) {
        self.0.waiting.lock().jobs.push_back(job);
        self.0.woken.notify_one();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.waiting.lock().over = true;
        self.0.woken.notify_all();
    }
}

impl Shared {
    /// What a thread does all its life.
    fn work(&self) {
        step_back();
        let mut memory = Memory::default();
        while let Some(job) = self.next(&mut memory) {
            // One that has slept is owed a slice too: it lets the others go first.
            std::thread::yield_now();
            // Who waits for it is told that it failed; the thread is needed by those behind it.
            if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
                tracing::error!("hashing a password panicked");
            }
        }
    }

    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.over {
                return None;
            }
            if memory.0.is_empty() {
                self.woken.wait(&mut waiting);
            } else if self.woken.wait_for(&mut waiting, KEPT).timed_out() {
                MutexGuard::unlocked(&mut waiting, || *memory = Memory::default());
            }
        }
    }
}

/// Puts the calling thread behind everything else (`SCHED_IDLE`, sched(7)): it has cores that nobody wants, is put off
/// at once when a request comes, and gets a few thousandths of a core that is never idle. A low priority by `nice(2)`
/// isn't enough: a thread keeps the core for a slice of a few milliseconds, whatever its priority.
fn step_back() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        tracing::debug!(?error, "a thread's scheduling can't be changed");
    }
}
