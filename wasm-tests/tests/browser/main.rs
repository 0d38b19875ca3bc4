//! Pages in a real browser: what it sends with a page and with its parts, and what its scripts can read.

mod site;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use site::Site;
use wasm_tests::wait::eventually;

fn configuration(split: Value, persist: Value) -> Value {
    let mut rule = json!({"name": "rollout", "split": split});
    if !persist.is_null() {
        rule["persist"] = persist;
    }
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "variants": {"stable": {"cluster": "stable"}, "next": {"cluster": "next"}},
        "rules": [rule]
    })
}

fn stable() -> Value {
    json!({"stable": 1, "next": 0})
}

fn next() -> Value {
    json!({"stable": 0, "next": 1})
}

fn by_page() -> Value {
    json!({"cookie": "split-page", "maxAge": "session", "reassign": "navigation"})
}

fn all_of(variant: &str, parts: &[String]) {
    assert!(!parts.is_empty() && parts.iter().all(|part| part == variant), "{variant}: {parts:?}");
}

#[tokio::test]
async fn all_parts_of_a_page_are_of_one_variant_and_the_next_page_is_of_the_new_one() -> Result<()>
{
    let Some(mut site) = Site::start(&configuration(stable(), by_page())).await? else {
        return Ok(());
    };
    site.open("/one").await?;
    all_of("stable", &site.parts().await?);

    site.update(&configuration(next(), by_page())).await?;
    all_of("stable", &site.late_parts().await?);
    // A form that the page sends is the page's, and so is what comes back.
    site.browser.run("document.forms[0].submit()").await?;
    site.comes("location.pathname", "/form").await?;
    all_of("stable", &site.parts().await?);
    all_of("stable", &site.late_parts().await?);

    site.open("/two").await?;
    all_of("next", &site.parts().await?);
    all_of("next", &site.late_parts().await?);
    // And back again; a reload is a navigation too.
    site.update(&configuration(stable(), by_page())).await?;
    all_of("next", &site.late_parts().await?);
    site.browser.run("location.reload()").await?;
    site.comes("document.title", "stable").await?;
    all_of("stable", &site.parts().await?);

    // A variant that is gone keeps nobody.
    site.update(&configuration(json!({"next": 1}), by_page())).await?;
    all_of("next", &site.late_parts().await?);
    Ok(())
}

/// What the field is for: without it, a page is mixed, or clients stay for good.
#[tokio::test]
async fn without_reassign_a_page_is_mixed_or_kept() -> Result<()> {
    let Some(mut site) = Site::start(&configuration(stable(), Value::Null)).await? else {
        return Ok(());
    };
    site.open("/one").await?;
    all_of("stable", &site.parts().await?);
    site.update(&configuration(next(), Value::Null)).await?;
    assert_eq!(site.browser.run("return document.title").await?, "stable");
    all_of("next", &site.late_parts().await?);

    let kept = json!({"cookie": "split-kept", "maxAge": "session"});
    site.open("/two").await?;
    site.update(&configuration(next(), kept.clone())).await?;
    site.open("/three").await?;
    site.update(&configuration(stable(), kept)).await?;
    all_of("next", &site.late_parts().await?);
    site.open("/four").await?;
    all_of("next", &site.parts().await?);
    Ok(())
}

/// A page that comes in advance is of the variant of the page in front, and so are its parts later.
#[tokio::test]
async fn a_page_that_is_fetched_in_advance_changes_nothing() -> Result<()> {
    let Some(mut site) = Site::start(&configuration(stable(), by_page())).await? else {
        return Ok(());
    };
    site.open("/one").await?;
    site.update(&configuration(next(), by_page())).await?;
    let rules = r#"
        const rules = document.createElement("script");
        rules.type = "speculationrules";
        rules.text = JSON.stringify({ prefetch: [{ urls: ["/ahead"], eagerness: "immediate" }] });
        document.head.append(rules);
    "#;
    site.browser.run(rules).await?;
    eventually("a page in advance", async || {
        let purposes = site.purposes("/ahead");
        ensure!(purposes.iter().any(|purpose| purpose.contains("prefetch")), "{purposes:?}");
        Ok(())
    })
    .await?;
    all_of("stable", &site.late_parts().await?);
    site.browser.run("document.querySelector('a').click()").await?;
    site.comes("location.pathname", "/ahead").await?;
    assert_eq!(site.purposes("/ahead").len(), 1, "it came in advance");
    all_of("stable", &site.parts().await?);
    site.open("/two").await?;
    all_of("next", &site.parts().await?);
    Ok(())
}

/// The ways of the documentation, as they stand there, on pages of either variant.
#[tokio::test]
async fn a_script_reads_the_variant_in_three_ways() -> Result<()> {
    let mut blocks = wasm_tests::readme::all()?;
    blocks.retain(|block| block.document == "src/frontend.md");
    let of = |language| blocks.iter().filter(move |block| block.language == language);
    let yaml = of("yaml").next().context("no configuration")?;
    let mut configuration: Value = serde_saphyr::from_str(&yaml.text)?;
    for variant in ["stable", "next"] {
        configuration["variants"][variant]["cluster"] = json!(variant);
    }
    configuration["clusterHeader"] = json!("x-split-cluster");
    configuration["debugHeader"] = json!("x-split-debug");
    assert_eq!(of("js").count(), 3);
    let Some(mut site) = Site::start(&configuration).await? else { return Ok(()) };
    for split in [stable(), next()] {
        configuration["rules"][0]["split"] = split;
        site.update(&configuration).await?;
        site.open("/one").await?;
        let title = site.browser.run("return document.title").await?;
        for way in of("js") {
            assert_eq!(site.browser.run(&way.text).await?, title, "{}", way.text);
        }
        let parts = r#"
            const parts = performance.getEntriesByType("resource");
            return parts.map((part) => [part.name, part.serverTiming.map((it) => it.description)]);
        "#;
        let parts = site.browser.run(parts).await?;
        let told = |path: &str| {
            let is_it = |part: &&Value| part[0].as_str().is_some_and(|name| name.ends_with(path));
            parts.as_array().and_then(|parts| Some(parts.iter().find(is_it)?[1].clone()))
        };
        for path in ["/app.js", "/style.css", "/image.svg", "/frame"] {
            assert_eq!(told(path), Some(json!([title])), "{path}: {parts}");
        }
    }
    Ok(())
}

/// By default no script sees the cookie.
#[tokio::test]
async fn a_script_reads_no_cookie_by_default() -> Result<()> {
    let Some(mut site) = Site::start(&configuration(stable(), by_page())).await? else {
        return Ok(());
    };
    site.open("/one").await?;
    assert_eq!(site.browser.run("return document.cookie").await?, "");
    Ok(())
}

/// One cookie for all tabs: the calls of a page in another tab follow the page that came last.
#[tokio::test]
async fn tabs_share_their_assignment() -> Result<()> {
    let Some(mut site) = Site::start(&configuration(stable(), by_page())).await? else {
        return Ok(());
    };
    site.open("/one").await?;
    site.update(&configuration(next(), by_page())).await?;
    let first = site.browser.open_tab().await?;
    site.open("/two").await?;
    all_of("next", &site.parts().await?);
    site.browser.look_at(&first).await?;
    assert_eq!(site.browser.run("return document.title").await?, "stable");
    all_of("next", &site.late_parts().await?);
    Ok(())
}
