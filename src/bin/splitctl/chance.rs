//! Chance for the simulations whose tables `src/numbers.md` has.

/// Prints rows of a table, and checks that the page has each.
pub fn stated(rows: &[String]) {
    let page = include_str!("../../numbers.md");
    rows.iter().for_each(|row| println!("{row}"));
    for row in rows {
        assert!(page.contains(row.as_str()), "src/numbers.md has no row {row}");
    }
}

/// The hits in `n` responses: by the gaps between them, which are geometric, or by a normal number
/// where there are very many.
pub fn hits(random: &mut fastrand::Rng, n: f64, rate: f64) -> f64 {
    let mean = n * rate;
    // The logarithm below would be 0.
    if mean < 1e-12 {
        return 0.0;
    }
    if mean > 100.0 {
        return (mean + normal(random) * (mean * (1.0 - rate)).sqrt()).round().clamp(0.0, n);
    }
    let scale = (1.0 - rate).ln();
    let mut gaps = std::iter::repeat_with(|| ((1.0 - random.f64()).ln() / scale).floor() + 1.0);
    let (mut hits, mut at) = (0.0, gaps.next().unwrap());
    while at <= n {
        hits += 1.0;
        at += gaps.next().unwrap();
    }
    hits
}

/// A normal number of mean 0 and variance 1.
pub fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// A gamma number of scale 1 (Marsaglia and Tsang, ACM Transactions on Mathematical Software 26(3),
/// 2000).
pub fn gamma(random: &mut fastrand::Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        return gamma(random, shape + 1.0) * random.f64().powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    loop {
        let x = normal(random);
        let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
        if v > 0.0 && random.f64().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}
