//! Which machines there are: what a program is built for, and what a far side says that it is.

use std::fmt;

use elf::{ElfBytes, abi, endian::AnyEndian, file::Class};

/// A kind of machine that programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
    Arm,
    I686,
    Riscv64,
}

impl Machine {
    const ALL: [Self; 5] = [Self::X86_64, Self::Aarch64, Self::Arm, Self::I686, Self::Riscv64];

    /// What `uname -m` calls it: a closed list, and exact, since it comes from the far side.
    pub(crate) fn of_uname(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|machine| machine.words().contains(&word))
    }

    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["x86_64", "amd64"],
            Self::Aarch64 => &["aarch64", "arm64"],
            Self::Arm => &["armv7l", "armv8l"],
            Self::I686 => &["i686", "i586", "i486", "i386"],
            Self::Riscv64 => &["riscv64"],
        }
    }

    /// Whether a program for `other` may run there: a 64-bit kernel mostly runs 32-bit programs too, and has the
    /// last word.
    pub(crate) fn may_run(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::X86_64, Self::I686) | (Self::Aarch64, Self::Arm))
    }

    /// The number that memfd_create has there.
    pub(crate) const fn memfd_create(self) -> u32 {
        match self {
            Self::X86_64 => 319,
            Self::Aarch64 | Self::Riscv64 => 279,
            Self::Arm => 385,
            Self::I686 => 356,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().first().copied().unwrap_or_default())
    }
}

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
            (abi::EM_ARM, Class::ELF32) => Some(Machine::Arm),
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
