//! Reads from the API server what the index does not have yet, once per call.

use std::future::Future;

use cluster::{Claim, Class, NotIndexed, ObjectKey, Pod, ReadObjects};
use crds::PmemVolume;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::{Api, Client};

/// Reads single objects that the watches do not show yet.
pub trait ObjectReader: Send + Sync + 'static {
    /// The claim, or none if there is no such claim.
    fn claim(&self, key: &ObjectKey) -> impl Future<Output = kube::Result<Option<Claim>>> + Send;
    /// The class, or none if there is no such class.
    fn class(&self, name: &str) -> impl Future<Output = kube::Result<Option<Class>>> + Send;
    /// The PmemVolume, or none if there is no such volume.
    fn volume(&self, name: &str) -> impl Future<Output = kube::Result<Option<PmemVolume>>> + Send;
    /// The pod, or none if there is no such pod.
    fn pod(&self, key: &ObjectKey) -> impl Future<Output = kube::Result<Option<Pod>>> + Send;
}

/// Reads them from the API server, one GET each.
#[derive(Clone)]
pub struct ApiServer(pub Client);

impl ObjectReader for ApiServer {
    async fn claim(&self, key: &ObjectKey) -> kube::Result<Option<Claim>> {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.0.clone(), &key.namespace);
        Ok(api.get_opt(&key.name).await?.as_ref().map(Claim::from))
    }

    async fn class(&self, name: &str) -> kube::Result<Option<Class>> {
        let api: Api<StorageClass> = Api::all(self.0.clone());
        Ok(api.get_opt(name).await?.as_ref().map(Class::from))
    }

    async fn volume(&self, name: &str) -> kube::Result<Option<PmemVolume>> {
        let api: Api<PmemVolume> = Api::all(self.0.clone());
        api.get_opt(name).await
    }

    async fn pod(&self, key: &ObjectKey) -> kube::Result<Option<Pod>> {
        let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.0.clone(), &key.namespace);
        Ok(api.get_opt(&key.name).await?.as_ref().map(Pod::from))
    }
}

/// Adds all that is `missing` to `read`.
pub(super) async fn read_missing(
    reader: &impl ObjectReader,
    missing: Vec<NotIndexed>,
    read: &mut ReadObjects,
) -> kube::Result<()> {
    for what in missing {
        match what {
            NotIndexed::Claim(key) => {
                let claim = reader.claim(&key).await?;
                read.add_claim(key, claim);
            }
            NotIndexed::Class(name) => {
                let class = reader.class(&name).await?;
                read.add_class(name, class);
            }
            NotIndexed::Volume(name) => {
                let volume = reader.volume(&name).await?;
                read.add_volume(name, volume);
            }
        }
    }
    Ok(())
}
