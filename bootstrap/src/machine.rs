//! Which machines there are: what a program is built for, and what a far side says that it is.

use std::{fmt, str::FromStr};

use elf::{ElfBytes, abi, endian::AnyEndian, file::Class};
use serde::{Deserialize, Serialize};

/// A kind of machine that programs are built for: a processor, with Linux on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM from version 7, with floating point.
    Armv7,
    /// 32-bit x86.
    I686,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::Aarch64, Self::Armv7, Self::I686, Self::Riscv64];

    /// The machine that this program was built for; `None` if it is none of these.
    #[must_use]
    pub fn here() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            "arm" => Some(Self::Armv7),
            "x86" => Some(Self::I686),
            "riscv64" => Some(Self::Riscv64),
            _ => None,
        }
    }

    /// What `uname -m` calls it: a closed list, and exact, since it comes from the far side.
    pub(crate) fn of_uname(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|machine| machine.words().contains(&word))
    }

    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["x86_64", "amd64"],
            Self::Aarch64 => &["aarch64", "arm64"],
            Self::Armv7 => &["armv7l", "armv8l"],
            Self::I686 => &["i686", "i586", "i486", "i386"],
            Self::Riscv64 => &["riscv64"],
        }
    }

    /// The target of rustc for programs of musl.
    pub(crate) const fn musl(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
            Self::Armv7 => "armv7-unknown-linux-musleabihf",
            Self::I686 => "i686-unknown-linux-musl",
            Self::Riscv64 => "riscv64gc-unknown-linux-musl",
        }
    }

    /// The folder in which Debian keeps the files of musl.
    pub(crate) const fn musl_folder(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-musl",
            Self::Aarch64 => "aarch64-linux-musl",
            Self::Armv7 => "arm-linux-musleabihf",
            Self::I686 => "i386-linux-musl",
            Self::Riscv64 => "riscv64-linux-musl",
        }
    }

    /// The C compiler for it, by Debian's name.
    pub(crate) const fn gcc(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
            Self::Armv7 => "arm-linux-gnueabihf-gcc",
            Self::I686 => "i686-linux-gnu-gcc",
            Self::Riscv64 => "riscv64-linux-gnu-gcc",
        }
    }

    /// What qemu calls it.
    pub(crate) const fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Armv7 => "arm",
            Self::I686 => "i386",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Whether a program for `other` may run there: a 64-bit kernel mostly runs 32-bit programs too, and has the
    /// last word.
    pub(crate) fn may_run(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::X86_64, Self::I686) | (Self::Aarch64, Self::Armv7))
    }

    /// The number that memfd_create has there.
    pub(crate) const fn memfd_create(self) -> u32 {
        match self {
            Self::X86_64 => 319,
            Self::Aarch64 | Self::Riscv64 => 279,
            Self::Armv7 => 385,
            Self::I686 => 356,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words().first().copied().unwrap_or_default())
    }
}

impl FromStr for Machine {
    type Err = UnknownMachine;

    /// Any name that `uname -m` has for it.
    fn from_str(word: &str) -> Result<Self, UnknownMachine> {
        Self::of_uname(word).ok_or(UnknownMachine)
    }
}

/// No machine has this name.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a machine is `x86_64`, `aarch64`, `armv7l`, `i686` or `riscv64`, as `uname -m` says")]
pub struct UnknownMachine;

/// What the head of a program says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    /// `None`: a machine that is not in our list.
    pub(crate) machine: Option<Machine>,
    /// Whether the far side must have a loader and libraries for it.
    pub(crate) needs_loader: bool,
}

impl Build {
    /// Reads the head of a program; `None` if it cannot be read.
    pub(crate) fn of(program: &[u8]) -> Option<Self> {
        let file = ElfBytes::<AnyEndian>::minimal_parse(program).ok()?;
        let machine = match (file.ehdr.e_machine, file.ehdr.class) {
            (abi::EM_X86_64, Class::ELF64) => Some(Machine::X86_64),
            (abi::EM_AARCH64, Class::ELF64) => Some(Machine::Aarch64),
            (abi::EM_ARM, Class::ELF32) => Some(Machine::Armv7),
            (abi::EM_386, Class::ELF32) => Some(Machine::I686),
            (abi::EM_RISCV, Class::ELF64) => Some(Machine::Riscv64),
            _ => None,
        };
        let mut segments = file.segments().into_iter().flat_map(|table| table.iter());
        Some(Self { machine, needs_loader: segments.any(|segment| segment.p_type == abi::PT_INTERP) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_for_this_machine() {
        let build = Build::of(&std::fs::read("/proc/self/exe").unwrap()).unwrap();
        let uname = rustix::system::uname();
        let here = Machine::of_uname(uname.machine().to_str().unwrap());
        assert!(here.unwrap().may_run(build.machine.unwrap()));
        assert!(build.needs_loader, "the tests of this crate are built with a loader");
    }

    #[test]
    fn a_machine_is_taken_from_a_closed_list_and_exactly() {
        for machine in Machine::ALL {
            assert_eq!(Machine::of_uname(&machine.to_string()), Some(machine));
        }
        for word in ["", "x86_64 ", "X86_64", "../../x", "aarch64_be", "armv6l"] {
            assert_eq!(Machine::of_uname(word), None, "{word}");
        }
    }

    #[test]
    fn what_is_no_program_has_no_head() {
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0x7f; 100]] {
            assert_eq!(Build::of(bytes), None);
        }
    }
}
