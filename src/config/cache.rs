//! `[cache]`: whether answers are given again.
//!
//! In: the section. Out: [`CacheSettings`]. Invariant: without the section there is no cache, and
//! questions that are only nearly the same get an answer only where the file names from which similarity
//! on. Not here: what is the same (see [`crate::pipeline`]).

use super::section::Section;
use super::values;
use crate::pipeline::{CACHE_BYTES_DEFAULT, CACHE_TTL_DEFAULT, CacheSettings, ToolAnswers};

/// Reads `[cache]`.
pub(super) fn read(section: Option<Section<'_>>) -> Option<CacheSettings> {
    let mut section = section?;
    let mut cache = CacheSettings {
        ttl: CACHE_TTL_DEFAULT,
        bytes_max: CACHE_BYTES_DEFAULT,
        tools: ToolAnswers::Asked,
        near: None,
    };
    section.field("ttl", values::duration).fill(&mut cache.ttl);
    section.field("bytes", values::cache_bytes).fill(&mut cache.bytes_max);
    section.field("similarity", values::similarity).fill_some(&mut cache.near);
    if section.field("tools", values::flag).given() == Some(true) {
        cache.tools = ToolAnswers::Kept;
    }
    let on = section.field("enabled", values::flag).given().unwrap_or(true);
    section.done();
    on.then_some(cache)
}

#[cfg(test)]
mod tests {
    use crate::config;
    use crate::pipeline::{CACHE_TTL_DEFAULT, ToolAnswers};

    fn read(section: &str) -> Result<Option<super::CacheSettings>, String> {
        let env = |name: &str| (name == "OPENAI_API_KEY").then(|| "k".to_owned());
        config::from_toml(section, &env).map(|it| it.cache).map_err(|it| it.to_string())
    }

    #[test]
    fn a_section_is_a_cache_and_its_figures_are_checked() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("[cache]\nenabled = false\n"), Ok(None));
        let cache = read("[cache]\n").unwrap().unwrap();
        assert_eq!(
            (cache.ttl, cache.tools, cache.near),
            (CACHE_TTL_DEFAULT, ToolAnswers::Asked, None)
        );
        let text = "[cache]\nttl = \"1h\"\nbytes = 1048576\nsimilarity = 0.97\ntools = true\n";
        let cache = read(text).unwrap().unwrap();
        assert_eq!((cache.ttl.as_secs(), cache.bytes_max), (3_600, 1 << 20));
        assert_eq!((cache.near.map(|it| it.get()), cache.tools), (Some(0.97), ToolAnswers::Kept));
        let check = |line: &str, wanted: &str| {
            let told = read(&format!("[cache]\n{line}\n")).unwrap_err();
            assert!(told.contains("cache.") && told.contains(wanted), "{told}");
        };
        check("similarity = 0.3", "from 0.95 to 1");
        check("bytes = 10", "cache.bytes");
        check("ttl = \"0s\"", "cache.ttl");
        check("size = 1", "cache.size");
    }
}
