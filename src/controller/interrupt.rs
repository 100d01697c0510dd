//! The INT pin as it leaves the controller.

/// What the INT pin is wired to: IRQ 6 of a PC (§6).
///
/// It is implemented for closures that take the level, for [`OnRise`], and for boxed trait objects: the type of a controller
/// whose parts are chosen at run time is `Controller<Box<dyn Interrupt + Send>, Box<dyn DmaChannel + Send>>`. A controller is
/// `Send` if its parts are.
pub trait Interrupt {
    /// Takes the new level of the pin. A new cause while the pin is high makes the pin fall and rise, for interrupt controllers
    /// that see edges.
    fn set_level(&mut self, high: bool);
}

impl<F: FnMut(bool)> Interrupt for F {
    fn set_level(&mut self, high: bool) {
        self(high);
    }
}

impl Interrupt for Box<dyn Interrupt> {
    fn set_level(&mut self, high: bool) {
        (**self).set_level(high);
    }
}

impl Interrupt for Box<dyn Interrupt + Send> {
    fn set_level(&mut self, high: bool) {
        (**self).set_level(high);
    }
}

/// An INT pin of which only the rising edges count: calls the closure for each, as an irqfd or a `Trigger` of `vm-superio`
/// needs it.
#[derive(Clone, Copy, Debug)]
pub struct OnRise<F>(pub F);

impl<F: FnMut()> Interrupt for OnRise<F> {
    fn set_level(&mut self, high: bool) {
        if high {
            (self.0)();
        }
    }
}

/// An INT pin that is not wired. The VM monitor asks [`Controller::interrupt_level`](crate::Controller::interrupt_level).
#[derive(Clone, Copy, Debug, Default)]
pub struct NoInterrupt;

impl Interrupt for NoInterrupt {
    fn set_level(&mut self, _high: bool) {}
}
