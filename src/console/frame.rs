//! What stands around the content of every page.

use super::assets;

/// Fields that `base.html` shows. A page's template extends it and has one as `frame`.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The page's only `h1`, and its title.
    pub title: String,
    /// Which entry of the navigation this is: `me`, `orgs`, `admins`, `audit-log` or none.
    pub here: &'static str,
    /// Who is signed in: without, there is no navigation.
    pub viewer: Option<Viewer>,
    /// A form or a message rather than a list: the column is narrow.
    pub narrow: bool,
}

/// Who looks at a page.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// E-mail address.
    pub email: String,
    /// Is a platform admin, and shown what these may do. What they may is decided when they ask.
    pub admin: bool,
    /// Has yet to change the password or to enrol: nothing else is of use.
    pub restricted: bool,
}

impl Frame {
    /// Of a form or a message that nobody need be signed in for.
    #[must_use]
    pub fn narrow(title: impl Into<String>) -> Self {
        Self { title: title.into(), narrow: true, ..Self::default() }
    }

    /// Where the style sheet is.
    #[must_use]
    pub fn stylesheet(&self) -> &'static str {
        assets::STYLESHEET.path()
    }

    /// Where the icon is.
    #[must_use]
    pub fn icon(&self) -> &'static str {
        assets::ICON.path()
    }

    /// Whether this page is the navigation's entry of that name.
    #[must_use]
    pub fn is_here(&self, name: &str) -> bool {
        self.here == name
    }
}

#[cfg(test)]
impl Frame {
    /// As a platform admin sees it.
    pub(super) fn sample(title: &str, here: &'static str) -> Self {
        let viewer = Viewer { email: "first@vendor.example".into(), admin: true, restricted: false };
        Self { title: title.into(), here, viewer: Some(viewer), narrow: false }
    }
}
