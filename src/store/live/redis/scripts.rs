//! What runs inside Redis. Each script touches one key, so a cluster needs no hash tags, and each is sent as it
//! is: after a failover or a flush there is no script to be missing.
//!
//! Time is the server's. A key lives until its session expires, but at least as long as a tombstone (facts
//! that have just expired still refuse older ones) and at most a day (a session without end is asked for again).

use super::envelope::{Envelopes, HEAD, LONGEST};
use crate::domain::Millis;
use redis::Cmd;
use std::time::Duration;

/// How long a tombstone refuses older facts. Longer than any look-up in SQL can have been under way.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(60);
/// No key lives longer without being put again.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Impersonations listed of one user.
const LISTED: usize = 256;

/// Whether the key holds a stamp, and which.
const HELD: &str = "
local kind = redis.call('TYPE', KEYS[1]).ok
local held = ''
if kind == 'string' then
  held = string.match(redis.call('GETRANGE', KEYS[1], 0, 20), '^(%d+)%.$') or ''
  if #held ~= 20 then held = '' end
elseif kind ~= 'none' then
  redis.call('DEL', KEYS[1])
end
";

/// Keeps facts unless newer ones, or a newer tombstone, are there. Answers until when, or 0.
const PUT: &str = "
if held > ARGV[1] then return '0' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = math.min(math.max(tonumber(ARGV[3]), now + tonumber(ARGV[4])), now + tonumber(ARGV[5]))
till = string.format('%.0f', till)
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', till)
return till
";

/// Puts a tombstone in the place of older facts. Answers what stood there.
const FORGET: &str = "
if held >= ARGV[1] then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
  return ''
end
local old = ''
if kind == 'string' then old = redis.call('GETRANGE', KEYS[1], 0, ARGV[4]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return old
";

/// Takes a value away that isn't believed, unless it has been replaced.
const DROP: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GETRANGE', KEYS[1], 0, ARGV[2]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
";

/// Lists an impersonation of a user until then.
const ENLIST: &str = "
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', time[1] * 1000))
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last[2])))
return 1
";

fn eval(parts: &[&str], key: &str) -> Cmd {
    let mut cmd = redis::cmd("EVAL");
    cmd.arg(parts.concat()).arg(1).arg(key);
    cmd
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The value at `key`, as far as one of ours can be long.
pub(super) fn get(key: &str) -> Cmd {
    let mut cmd = redis::cmd("GETRANGE");
    cmd.arg(key).arg(0).arg(LONGEST);
    cmd
}

pub(super) fn put(key: &str, as_of: u64, value: &str, expires_at: Millis) -> Cmd {
    let mut cmd = eval(&[HELD, PUT], key);
    cmd.arg(Envelopes::stamp(as_of)).arg(value).arg(expires_at).arg(ms(TOMBSTONE)).arg(ms(LONGEST_LIFE));
    cmd
}

pub(super) fn forget(key: &str, as_of: u64, tombstone: &str) -> Cmd {
    let mut cmd = eval(&[HELD, FORGET], key);
    cmd.arg(Envelopes::stamp(as_of)).arg(tombstone).arg(ms(TOMBSTONE)).arg(LONGEST);
    cmd
}

/// `value` is what stood at `key`.
pub(super) fn drop_rejected(key: &str, value: &[u8]) -> Cmd {
    let head = value.get(..HEAD).unwrap_or(value);
    let mut cmd = eval(&[DROP], key);
    cmd.arg(head).arg(head.len().saturating_sub(1));
    cmd
}

pub(super) fn unlink(key: &str) -> Cmd {
    let mut cmd = redis::cmd("UNLINK");
    cmd.arg(key);
    cmd
}

pub(super) fn enlist(key: &str, id: &str, till: &str) -> Cmd {
    let mut cmd = eval(&[ENLIST], key);
    cmd.arg(id).arg(till).arg(LISTED);
    cmd
}

pub(super) fn strike(key: &str, id: &str) -> Cmd {
    let mut cmd = redis::cmd("ZREM");
    cmd.arg(key).arg(id);
    cmd
}

pub(super) fn listed(key: &str) -> Cmd {
    let mut cmd = redis::cmd("ZRANGE");
    cmd.arg(key).arg(0).arg(LISTED);
    cmd
}

pub(super) fn publish(channel: &str, message: &str) -> Cmd {
    let mut cmd = redis::cmd("PUBLISH");
    cmd.arg(channel).arg(message);
    cmd
}
