//! What has become of a password, from question to question, and what that tells of it.

use crate::Told;

/// What has become of a password that was given beforehand; for another that was typed in its place it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has not gone out.
    #[default]
    Kept,
    /// It has gone out.
    Out,
    /// The same, and something else was answered behind it.
    Followed,
    /// It was asked for again then: what was answered behind it may have been wrong.
    Doubtful,
    /// It was asked for again, with nothing answered between.
    Refused,
    /// It was enough: another is asked for in its place.
    Enough,
}

impl Fate {
    /// It is asked for.
    pub(crate) const fn asked(&mut self) {
        *self = match self {
            Self::Kept => Self::Kept,
            Self::Out | Self::Refused => Self::Refused,
            Self::Followed | Self::Doubtful => Self::Doubtful,
            Self::Enough => Self::Enough,
        }
    }

    /// It is to be changed: whoever mistypes it is not asked for that.
    pub(crate) const fn outlived(&mut self) {
        if let Self::Out | Self::Followed = self {
            *self = Self::Enough;
        }
    }

    /// It has gone out, where it was asked for.
    pub(crate) const fn gone_out(&mut self) {
        if let Self::Kept = self {
            *self = Self::Out;
        }
    }

    /// Something else has gone out that was asked for behind it.
    pub(crate) const fn followed(&mut self) {
        if let Self::Out = self {
            *self = Self::Followed;
        }
    }

    /// The same where it is said that whoever has it was not let in.
    pub(crate) const fn turned_away(self) -> Self {
        if let Self::Out = self { Self::Refused } else { self }
    }

    /// What is known of it where the way has led on.
    pub(crate) const fn led_on(self) -> Told {
        match self {
            Self::Kept | Self::Doubtful => Told::Untold,
            Self::Out | Self::Followed | Self::Enough => Told::Proved,
            Self::Refused => Told::Refused,
        }
    }

    /// The same where it has led nowhere, and whoever it was for has said nothing for longer than he who refuses one.
    pub(crate) const fn left_unsaid(self) -> Told {
        match self {
            Self::Kept | Self::Out | Self::Followed | Self::Doubtful => Told::Untold,
            Self::Refused => Told::Refused,
            Self::Enough => Told::Proved,
        }
    }

    /// The same where it has led nowhere.
    pub(crate) const fn left_open(self) -> Told {
        match self {
            Self::Kept => Told::Untold,
            Self::Out | Self::Followed | Self::Doubtful => Told::Unclear,
            Self::Refused => Told::Refused,
            Self::Enough => Told::Proved,
        }
    }
}
