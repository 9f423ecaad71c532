//! Where Redis is: one URL for a single node, Sentinel or Cluster. A password in it is never shown.

use super::document::Complaint;
use crate::domain::Secret;
use percent_encoding::percent_decode_str;
use std::fmt;

/// How the Redis servers belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveTopology {
    /// One server.
    Single,
    /// A primary that Sentinels name; `nodes` are the Sentinels.
    Sentinel {
        /// The primary's name there.
        service: String,
    },
    /// Redis Cluster; `nodes` are where to begin.
    Cluster,
}

/// Where Redis is and who we are there. `Debug` and `Display` show no password.
#[derive(Debug, Clone)]
pub struct LiveUrl {
    /// How the servers belong together.
    pub topology: LiveTopology,
    /// Whether all connections are TLS.
    pub tls: bool,
    /// Hosts (an IPv6 address without brackets) and ports.
    pub nodes: Vec<(String, u16)>,
    /// ACL user; `None`: Redis' `default`.
    pub user: Option<String>,
    /// Password, if the URL holds one.
    pub password: Option<Secret>,
    /// Database number; always 0 in a cluster.
    pub db: i64,
}

const HELP: &str = "`redis://host:6379`, `redis+sentinel://h1:26379,h2:26379/mymaster` or \
                    `redis+cluster://h1:6379,h2:6379`; `rediss` for TLS";

impl LiveUrl {
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        let read = Self::read(text).map_err(|message| Complaint::new(message).help(HELP));
        read.map_err(|complaint| Complaint { secret: text.contains('@'), ..complaint })
    }

    fn read(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("not a URL")?;
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match base {
            "redis" => false,
            "rediss" => true,
            _ => return Err("the scheme is neither `redis` nor `rediss`".into()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, password, hosts) = credentials(authority)?;
        let mut db = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("db", number)) => db = Some(database(number)?),
                _ => return Err("only `db` may stand behind the `?`".into()),
            }
        }
        let topology = match kind {
            "" => {
                if !path.is_empty() {
                    db = Some(database(path)?);
                }
                LiveTopology::Single
            }
            "sentinel" if path.is_empty() => return Err("the primary's name is missing".into()),
            "sentinel" => LiveTopology::Sentinel { service: decoded(path)? },
            "cluster" if !path.is_empty() => return Err("a cluster's URL has no path".into()),
            "cluster" => LiveTopology::Cluster,
            _ => return Err("behind the `+` goes `sentinel` or `cluster`".into()),
        };
        let default_port = if kind == "sentinel" { 26_379 } else { 6_379 };
        let nodes = hosts.split(',').map(|host| node(host, default_port)).collect::<Result<Vec<_>, _>>()?;
        if topology == LiveTopology::Single && nodes.len() > 1 {
            return Err("several hosts need `+sentinel` or `+cluster`".into());
        }
        let db = db.unwrap_or(0);
        if topology == LiveTopology::Cluster && db != 0 {
            return Err("a cluster has only database 0".into());
        }
        Ok(Self { topology, tls, nodes, user, password, db })
    }
}

/// User, password and the rest of an authority.
fn credentials(authority: &str) -> Result<(Option<String>, Option<Secret>, &str), String> {
    let Some((who, hosts)) = authority.rsplit_once('@') else { return Ok((None, None, authority)) };
    let (user, password) = who.split_once(':').map_or((who, None), |(user, word)| (user, Some(word)));
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    let password = password.map(decoded).transpose()?.filter(|word| !word.is_empty());
    if user.is_some() && user.as_deref().is_some_and(|user| user.chars().any(char::is_whitespace)) {
        return Err("a user without blanks is wanted".into());
    }
    Ok((user, password.map(Secret::new), hosts))
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "not UTF-8 once decoded")?;
    Ok(decoded.into_owned())
}

fn database(text: &str) -> Result<i64, String> {
    let number: Option<i64> = text.parse().ok().filter(|n| (0..=65_535).contains(n));
    number.ok_or_else(|| "the database is a number from 0".into())
}

/// `host`, `host:port` or `[v6]:port`.
fn node(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or("no port behind the address")?)),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || !host.chars().all(fits) {
        return Err("a host name or address is missing".into());
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("not a port")?,
        None => default_port,
    };
    Ok((host.to_owned(), port))
}

impl PartialEq for LiveUrl {
    fn eq(&self, other: &Self) -> bool {
        let word = |url: &Self| url.password.as_ref().map(|word| word.expose().to_owned());
        (&self.topology, self.tls, &self.nodes, &self.user, self.db)
            == (&other.topology, other.tls, &other.nodes, &other.user, other.db)
            && word(self) == word(other)
    }
}

impl Eq for LiveUrl {}

/// The URL with `***` for the password.
impl fmt::Display for LiveUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(match self.topology {
            LiveTopology::Single => "://",
            LiveTopology::Sentinel { .. } => "+sentinel://",
            LiveTopology::Cluster => "+cluster://",
        })?;
        match (&self.user, &self.password) {
            (None, None) => {}
            (user, None) => write!(f, "{}@", user.as_deref().unwrap_or_default())?,
            (user, Some(_)) => write!(f, "{}:***@", user.as_deref().unwrap_or_default())?,
        }
        for (n, (host, port)) in self.nodes.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        match &self.topology {
            LiveTopology::Single if self.db != 0 => write!(f, "/{}", self.db),
            LiveTopology::Sentinel { service } if self.db != 0 => write!(f, "/{service}?db={}", self.db),
            LiveTopology::Sentinel { service } => write!(f, "/{service}"),
            LiveTopology::Single | LiveTopology::Cluster => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LiveUrl;

    #[test]
    fn each_topology_is_read_and_shown_without_its_password() {
        for (text, shown) in [
            ("redis://r", "redis://r:6379"),
            ("rediss://gate:hunter2@r:7000/3", "rediss://gate:***@r:7000/3"),
            ("redis://:hunter2@[::1]:7000", "redis://:***@[::1]:7000"),
            ("redis+sentinel://a,b:1/main?db=2", "redis+sentinel://a:26379,b:1/main?db=2"),
            ("rediss+cluster://u:hunter2@a:1,b", "rediss+cluster://u:***@a:1,b:6379"),
        ] {
            let url = LiveUrl::parse(text).unwrap_or_else(|e| panic!("{text}: {}", e.message));
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}{url}").contains("hunter2"), "{url:?}");
        }
        let url = LiveUrl::parse("redis://a%40b:p%3Aw%2F@r").unwrap();
        assert_eq!(url.user.as_deref(), Some("a@b"));
        assert_eq!(url.password.unwrap().expose(), "p:w/");
    }

    #[test]
    fn what_is_no_such_url_is_refused_without_its_password() {
        for text in [
            "",
            "r:6379",
            "http://u:hunter2@r",
            "redis://u:hunter2@",
            "redis://u:hunter2@a,b",
            "redis://u:hunter2@r:0",
            "redis://u:hunter2@r:x",
            "redis://u:hunter2@r/x",
            "redis://u:hunter2@r?tls=no",
            "redis+sentinel://u:hunter2@r",
            "redis+cluster://u:hunter2@r/1",
            "redis+cluster://u:hunter2@r?db=1",
            "redis+raft://u:hunter2@r",
        ] {
            let complaint = LiveUrl::parse(text).expect_err(text);
            assert!(!format!("{complaint:?}").contains("hunter2"), "{complaint:?}");
            assert_eq!(complaint.secret, text.contains('@'), "{text}");
        }
    }
}
