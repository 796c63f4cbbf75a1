//! `s3://BUCKET/PREFIX` as the place of recordings, with the keys and the endpoint of `[storage.s3]`.

use super::problem::Refusal;
use super::secret::Secret;
use super::section::Section;
use super::url::WebUrl;

/// A bucket of an S3 store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    /// Where the store is; requests name the bucket in their path.
    pub endpoint: WebUrl,
    /// Its region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What names begin with: empty, or ending in a slash.
    pub prefix: String,
    /// Who we are there.
    pub access_key: String,
    /// What our requests are signed with.
    pub secret_key: Secret,
}

impl S3 {
    /// What the place begins with.
    pub(super) const SCHEME: &'static str = "s3://";

    /// The bucket of `[storage]`, if recordings go to one.
    pub(super) fn read(storage: &Section<'_>) -> Option<Self> {
        let place: String = storage.value("recordings")?;
        let keys = storage.section("s3");
        let region: Option<String> = keys.value("region");
        let endpoint: Option<WebUrl> = keys.value("endpoint");
        let (access_key, secret_key) = (keys.value("access_key"), keys.value("secret_key"));
        let place = place.strip_prefix(Self::SCHEME)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_good = |c: char| c.is_ascii_alphanumeric() || ".-_/".contains(c);
        if bucket.len() < 3 || !place.chars().all(is_good) || prefix.starts_with('/') {
            storage.refuse(
                "recordings",
                Refusal::new("this names no bucket", "\"s3://BUCKET\" or \"s3://BUCKET/PREFIX\""),
            );
            return None;
        }
        let region = region?;
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => WebUrl::parse(&format!("https://s3.{region}.amazonaws.com")).ok()?,
        };
        if access_key.is_none() || secret_key.is_none() {
            let cure = "[storage.s3] access_key = \"…\", secret_key = \"${S3_SECRET_KEY}\"";
            storage.refuse("recordings", Refusal::new("a bucket needs keys", cure));
        }
        let prefix = match prefix.trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let bucket = bucket.to_owned();
        Some(Self { endpoint, region, bucket, prefix, access_key: access_key?, secret_key: secret_key? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn a_bucket_has_keys_a_region_and_an_endpoint() {
        let text = "[storage]\nrecordings = \"s3://calls/patchcord\"\n\
                    [storage.s3]\naccess_key = \"a\"\nsecret_key = \"hidden\"\nregion = \"eu-west-1\"\n";
        let config = Config::parse(text).unwrap();
        let s3 = config.recording.place.bucket.unwrap();
        assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), ("calls", "patchcord/"));
        assert_eq!(s3.endpoint.as_uri().host(), Some("s3.eu-west-1.amazonaws.com"));
        assert!(!format!("{s3:?}").contains("hidden"));
        for wrong in ["s3://", "s3://a", "s3://buc ket", "s3://calls"] {
            let problems = Config::parse(&format!("[storage]\nrecordings = \"{wrong}\"\n")).unwrap_err();
            assert!(problems.to_string().contains("storage.recordings"), "{wrong}: {problems}");
        }
    }
}
