//! Garbage collection for operators: what it would remove, a run now, where it stands. It also runs by itself.

use crate::access::InstanceAction;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_engine::{GcPlan, GcReport, GcStatus};

impl Registry {
    /// What a run would remove now, at most `limit` things, in the order of their removal.
    ///
    /// # Errors
    /// [`RegistryError::Denied`]; the store's condition.
    pub async fn gc_plan(&self, ctx: &Context, limit: usize) -> Result<GcPlan> {
        self.authorize_instance(ctx, InstanceAction::Operate)?;
        self.engine().gc_plan(limit).await.map_err(RegistryError::store)
    }

    /// Runs now, as fast as `gc.rate` allows, and tells what was removed. Whoever stops waiting does not stop the run.
    ///
    /// # Errors
    /// [`RegistryError::Denied`]; the store's condition.
    pub async fn gc_run(&self, ctx: &Context) -> Result<GcReport> {
        self.authorize_change(ctx, InstanceAction::Operate, Attempt::on_instance("gc.run", ""))?;
        self.engine().gc_run().await.map_err(RegistryError::store)
    }

    /// Where garbage collection stands.
    ///
    /// # Errors
    /// [`RegistryError::Denied`].
    pub fn gc_status(&self, ctx: &Context) -> Result<GcStatus> {
        self.authorize_instance(ctx, InstanceAction::Operate)?;
        Ok(self.engine().gc_status())
    }
}
