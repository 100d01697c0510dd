//! What the chip shows to the host beside its registers: the MSR and the pins, and how an access changes them.

/// What an access to the FIFO does to the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: most accesses of a command.
    None,
    /// INT falls and rises, if it is up, because a request for bytes ended and the next one is there.
    Edge,
    /// The first byte of a result was fetched, and INT falls, unless a seek holds it up.
    ResultFetched,
    /// The outputs may have changed.
    Outputs,
}

/// What the chip shows: the MSR, and the levels of its pins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outputs {
    pub main_status: u8,
    /// INT.
    pub interrupt: bool,
    /// DRQ.
    pub dma_request: bool,
}
