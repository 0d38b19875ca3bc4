//! The panels of a dashboard as an SVG, drawn from what a Prometheus has.

use crate::prometheus::Series;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::collections::BTreeSet;

const COLUMNS: usize = 3;
/// Pixels.
const PANEL: (u32, u32) = (400, 230);
const TITLE: u32 = 40;
/// From a panel's top to its legend.
const LEGEND: i32 = 36;

/// Told apart by the colour-blind too (Okabe and Ito, "Color Universal Design", 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(80, 80, 80),
];

/// One panel.
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// Grafana's name of its unit.
    pub unit: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line of a panel.
pub struct Line {
    /// Its name. Lines whose names are equal up to a comma share a colour.
    pub name: String,
    /// Drawn dashed.
    pub dashed: bool,
    /// Its values.
    pub series: Series,
}

/// When something happened, in seconds since 1970, and what.
pub struct Event {
    /// The time at which the panels begin.
    pub start: f64,
    /// When it happened.
    pub at: f64,
    /// The time at which the panels end.
    pub end: f64,
    /// The title, which says what happened.
    pub title: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The panels in rows of three.
pub fn draw(panels: &[Panel], event: &Event) -> Result<String> {
    let rows = panels.len().div_ceil(COLUMNS);
    let size = (PANEL.0 * COLUMNS as u32, PANEL.1 * rows as u32 + TITLE);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(drawing)?;
        let (title, grid) = root.split_vertically(TITLE);
        let style = ("sans-serif", 17).into_font().color(&BLACK);
        title.draw_text(&event.title, &style, (16, 14)).map_err(drawing)?;
        for (cell, panel) in grid.split_evenly((rows, COLUMNS)).iter().zip(panels) {
            draw_panel(cell, panel, event)?;
        }
        root.present().map_err(drawing)?;
    }
    Ok(svg)
}

fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing: {error}")
}

fn draw_panel(cell: &Area<'_>, panel: &Panel, event: &Event) -> Result<()> {
    let length = event.end - event.start;
    let (low, high) = range(panel);
    let caption = ("sans-serif", 15).into_font().style(FontStyle::Bold).color(&BLACK);
    cell.draw_text(&panel.title, &caption, (62, 12)).map_err(drawing)?;
    let mut chart = ChartBuilder::on(cell)
        .margin(8)
        .margin_top(46)
        .margin_right(14)
        .x_label_area_size(20)
        .y_label_area_size(54)
        .build_cartesian_2d(0.0..length, low..high)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(RGBColor(225, 225, 225))
        .light_line_style(TRANSPARENT)
        .axis_style(RGBColor(120, 120, 120))
        .label_style(("sans-serif", 12))
        .x_labels(6)
        .y_labels(5)
        .x_label_formatter(&|seconds| format!("{seconds:.0} s"))
        .y_label_formatter(&|value| labelled(*value, high - low, &panel.unit))
        .draw()
        .map_err(drawing)?;
    let at = event.at - event.start;
    let mark = LineSeries::new([(at, low), (at, high)], BLACK.mix(0.35));
    chart.draw_series(mark).map_err(drawing)?;
    let names: BTreeSet<&str> = panel.lines.iter().map(|line| base(&line.name)).collect();
    // Legends from left to right, below the caption.
    let mut x = 62;
    for line in &panel.lines {
        let place = names.iter().position(|name| *name == base(&line.name)).unwrap_or_default();
        let style = COLOURS[place % COLOURS.len()].stroke_width(2);
        for points in unbroken(line, event) {
            let drawn = if line.dashed {
                chart.draw_series(DashedLineSeries::new(points, 8, 8, style)).map(drop)
            } else {
                chart.draw_series(LineSeries::new(points, style)).map(drop)
            };
            drawn.map_err(drawing)?;
        }
        x = legend(cell, line, style, x)?;
    }
    Ok(())
}

/// A stroke and a name; where the next may begin.
fn legend(cell: &Area<'_>, line: &Line, style: ShapeStyle, x: i32) -> Result<i32> {
    let strokes: &[(i32, i32)] = if line.dashed { &[(0, 6), (10, 16)] } else { &[(0, 16)] };
    for (from, to) in strokes {
        let stroke = PathElement::new([(x + from, LEGEND), (x + to, LEGEND)], style);
        cell.draw(&stroke).map_err(drawing)?;
    }
    let font = ("sans-serif", 12).into_font().color(&BLACK);
    cell.draw_text(&line.name, &font, (x + 20, LEGEND - 5)).map_err(drawing)?;
    // A letter is about 6 pixels wide.
    Ok(x + 34 + 6 * i32::try_from(line.name.chars().count())?)
}

/// The part of a name that lines of one colour share.
fn base(name: &str) -> &str {
    name.split(',').next().unwrap_or_default()
}

/// From 0, or for what is close to a whole from below that, with room above.
fn range(panel: &Panel) -> (f64, f64) {
    let values = panel.lines.iter().flat_map(|line| &line.series.values);
    let values = values.map(|(_, value)| *value).filter(|value| value.is_finite());
    let (low, high) = values
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let low =
        if panel.unit == "percentunit" && low > 0.5 && low.is_finite() { low - 0.1 } else { 0.0 };
    (low, if high > 0.0 { high + (high - low) * 0.08 } else { 1.0 })
}

/// The stretches of a line: it has no values while nothing happens.
fn unbroken(line: &Line, event: &Event) -> Vec<Vec<(f64, f64)>> {
    let mut parts: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    let mut last = f64::NEG_INFINITY;
    for (time, value) in &line.series.values {
        let time = time - event.start;
        if !value.is_finite() {
            continue;
        }
        if time - last > 1.5 {
            parts.push(Vec::new());
        }
        parts.last_mut().into_iter().for_each(|part| part.push((time, *value)));
        last = time;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A value with its unit.
fn labelled(value: f64, range: f64, unit: &str) -> String {
    let digits = usize::from(range < 3.0);
    match unit {
        "percentunit" => format!("{:.0} %", value * 100.0),
        "ms" => format!("{value:.digits$} ms"),
        "reqps" => format!("{value:.digits$} /s"),
        _ => format!("{value:.digits$}"),
    }
}
