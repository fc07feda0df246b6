//! The chart: a panel for each group, a bar for each row.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::measure::{Group, Row};

/// Its width, and the parts of a panel: names to the left, numbers to the right; its title, a row,
/// the space below.
const WIDTH: u32 = 900;
const NAMES: i32 = 360;
const NUMBERS: i32 = 110;
const TITLE: u32 = 34;
const ROW: u32 = 24;
const GAP: u32 = 16;

/// Draws the rows as an SVG.
pub(super) fn draw(rows: &[Row]) -> String {
    let panels: Vec<Vec<&Row>> = Group::ALL
        .into_iter()
        .map(|group| rows.iter().filter(|row| row.group == group).collect())
        .filter(|panel: &Vec<_>| !panel.is_empty())
        .collect();
    let height = |panel: &Vec<&Row>| TITLE + ROW * panel.len() as u32 + GAP;
    let all = panels.iter().map(height).sum::<u32>().max(1);
    let mut svg = String::new();
    {
        let mut rest = SVGBackend::with_string(&mut svg, (WIDTH, all)).into_drawing_area();
        let _ = rest.fill(&WHITE);
        for panel in &panels {
            let (area, below) = rest.split_vertically(height(panel));
            // Nothing that is drawn into a string can fail.
            let _ = draw_panel(&area, panel);
            rest = below;
        }
        let _ = rest.present();
    }
    svg
}

type Drawn<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw_panel<'a>(area: &Drawn<'a>, rows: &[&Row]) -> Result<(), Failed<'a>> {
    let style = |size: i32, hpos| {
        let font = ("sans-serif", size).into_font();
        TextStyle::from(font).pos(Pos::new(hpos, VPos::Center))
    };
    let (title, unit) = rows[0].group.title();
    let head = Text::new(
        format!("{title}, {unit}"),
        (8, TITLE as i32 / 2),
        style(16, HPos::Left),
    );
    area.draw(&head)?;
    let most = rows
        .iter()
        .map(|row| row.most)
        .fold(f64::MIN_POSITIVE, f64::max);
    let room = f64::from(WIDTH as i32 - NAMES - NUMBERS);
    let at = |value: f64| NAMES + (value / most * room) as i32;
    for (i, row) in rows.iter().enumerate() {
        let top = (TITLE + ROW * i as u32) as i32;
        let (bottom, middle) = (top + ROW as i32 - 6, top + ROW as i32 / 2 - 3);
        let name = Text::new(
            row.name.clone(),
            (NAMES - 8, middle),
            style(13, HPos::Right),
        );
        area.draw(&name)?;
        let bar = [(NAMES, top), (at(row.median).max(NAMES + 1), bottom)];
        area.draw(&Rectangle::new(bar, RGBColor(70, 120, 180).filled()))?;
        // From the least to the most.
        let spread = vec![(at(row.least), middle), (at(row.most), middle)];
        area.draw(&PathElement::new(spread, BLACK.stroke_width(1)))?;
        let number = format!(
            "{:.*}",
            usize::from(row.median < 100.0 && row.median.fract() != 0.0),
            row.median
        );
        let end = at(row.median.max(row.most)) + 6;
        area.draw(&Text::new(number, (end, middle), style(13, HPos::Left)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::sample;
    use super::*;

    #[test]
    fn the_chart_is_xml_and_has_every_row() {
        let rows = sample().rows();
        let svg = draw(&rows);
        let document = roxmltree::Document::parse(&svg).expect("it is XML");
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
            .filter_map(|node| Some(node.text()?.trim()))
            .collect();
        for row in &rows {
            let count = texts.iter().filter(|text| **text == row.name).count();
            let same = rows.iter().filter(|other| other.name == row.name).count();
            assert_eq!(count, same, "{}: {texts:?}", row.name);
        }
        for group in Group::ALL {
            let (title, unit) = group.title();
            assert!(texts.contains(&&*format!("{title}, {unit}")), "{texts:?}");
        }
        let bars = document
            .descendants()
            .filter(|node| node.tag_name().name() == "rect");
        // And the background.
        assert_eq!(bars.count(), rows.len() + 1);
    }

    #[test]
    fn a_longer_bar_is_more() {
        let rows = sample().rows();
        let svg = draw(&rows);
        let document = roxmltree::Document::parse(&svg).expect("it is XML");
        let bars = document
            .descendants()
            .filter(|node| node.tag_name().name() == "rect");
        let width = |node: roxmltree::Node<'_, '_>| node.attribute("width")?.parse::<i32>().ok();
        let widths: Vec<_> = bars.skip(1).filter_map(width).collect();
        let [first, second] = widths[..2] else {
            panic!("{widths:?}")
        };
        // 34 and 48 instructions; the latter has all the room there is.
        assert_eq!(second, WIDTH as i32 - NAMES - NUMBERS);
        assert_eq!(first, 34 * second / 48);
    }
}
