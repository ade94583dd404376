//! The limit of a claim.

use cluster::ObjectKey;

use super::error::CreateError;
use crate::controller::api::ApiError;
use crate::controller::request::CreateRequest;
use crate::controller::service::Service;

impl Service {
    /// The request with the limit that its claim has (`resources.limits.storage`), which external-provisioner does not pass on: it
    /// sends `required_bytes` only (`pkg/controller/controller.go`). A claim that is gone by now has none.
    ///
    /// # Errors
    /// The limit is below what the call requires, or the API server does not answer.
    pub(super) async fn limited(&self, request: &CreateRequest) -> Result<CreateRequest, CreateError> {
        let Some(of) = request.claim.as_ref().filter(|_| request.size.limit.is_none()) else {
            return Ok(request.clone());
        };
        let key = ObjectKey::new(&of.namespace, &of.name);
        let claim = self.claims.claim(&key).await;
        let claim = claim.map_err(|error| ApiError::new("look up the claim of volume", &request.id, error))?;
        let claim = claim.filter(|claim| claim.volume_name() == request.id.as_str());
        match claim.and_then(|claim| claim.limit()) {
            Some(limit) => Ok(request.clone().with_limit(limit)?),
            None => Ok(request.clone()),
        }
    }
}
