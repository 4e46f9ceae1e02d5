//! The few shapes that a plot needs, as SVG text.
//!
//! In: numbers in the plot's own units, labels. Out: SVG markup for a page. Invariant: every text is
//! escaped, every number is finite, colours are classes of the page's style sheet, so that light and
//! dark both work. Not here: what is drawn (see [`super::plots`]).

use std::fmt::Write as _;

/// Size of a plot, in SVG units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
/// Room for the axes' labels: left, right, top, bottom.
const MARGIN: [f64; 4] = [64.0, 16.0, 12.0, 46.0];

/// One axis: its range, its name, and where its marks stand.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Place and label.
    pub(super) marks: Vec<(f64, String)>,
}

/// A plot that is being drawn.
#[derive(Debug)]
pub(super) struct Plot {
    x: Axis,
    y: Axis,
    body: String,
}

/// Text that may stand in HTML and SVG, in attributes too.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters may stand in no XML text.
            it if it.is_control() && it != '\n' && it != '\t' => out.push('\u{fffd}'),
            it => out.push(it),
        }
    }
    out
}

impl Axis {
    /// Marks at multiples of a round step.
    pub(super) fn linear(name: &str, low: f64, high: f64) -> Self {
        let spread = (high - low).max(1e-9);
        let raw = spread / 5.0;
        let power = 10.0_f64.powf(raw.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
        let step = steps.into_iter().find(|it| *it >= raw).unwrap_or(raw);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let marks = (first..=last.min(first + 20)).map(|it| it as f64 * step);
        let marks = marks.map(|it| (it, format!("{it:.digits$}"))).collect();
        Self { name: name.to_owned(), low, high: low + spread, marks }
    }

    /// The logarithm to base 10 of something, marked at powers of ten.
    pub(super) fn powers(name: &str, low: f64, high: f64) -> Self {
        let (low, high) = (low.max(1e-12).log10(), high.max(1e-12).log10());
        let (first, last) = (low.floor() as i64, high.ceil() as i64);
        let marks = (first..=last).flat_map(|power| {
            [1.0, 2.0, 5.0].map(|it: f64| {
                let value = it * 10.0_f64.powi(power as i32);
                (value.log10(), format!("{value}"))
            })
        });
        let spread = (high - low).max(1e-9);
        let kept = marks.filter(|it| it.0 >= low && it.0 <= low + spread).collect();
        Self { name: name.to_owned(), low, high: low + spread, marks: kept }
    }

    /// Bars or rows by name, at 0.5, 1.5, ...
    pub(super) fn names(name: &str, names: &[String]) -> Self {
        let marks = names.iter().enumerate().map(|(at, it)| (at as f64 + 0.5, it.clone()));
        Self {
            name: name.to_owned(),
            low: 0.0,
            high: names.len().max(1) as f64,
            marks: marks.collect(),
        }
    }

    /// Whether labels side by side would run into each other: a letter is about 6.5 units wide.
    fn is_crowded(&self, width: f64) -> bool {
        let longest = self.marks.iter().map(|it| it.1.chars().count()).max().unwrap_or(0);
        longest as f64 * 6.5 > width / self.marks.len().max(1) as f64
    }

    fn share(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

impl Plot {
    /// An empty plot with its axes.
    pub(super) fn new(x: Axis, y: Axis) -> Self {
        let mut plot = Self { x, y, body: String::new() };
        plot.axes();
        plot
    }

    fn left(&self, value: f64) -> f64 {
        MARGIN[0] + self.x.share(value) * (WIDTH - MARGIN[0] - MARGIN[1])
    }

    fn top(&self, value: f64) -> f64 {
        HEIGHT - MARGIN[3] - self.y.share(value) * (HEIGHT - MARGIN[2] - MARGIN[3])
    }

    fn add(&mut self, markup: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(markup);
    }

    fn axes(&mut self) {
        let (right, bottom) = (WIDTH - MARGIN[1], HEIGHT - MARGIN[3]);
        for (at, label) in self.y.marks.clone() {
            let (y, left, label) = (self.top(at), MARGIN[0], escape(&label));
            self.add(format_args!(
                "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n",
                left - 6.0,
                y + 4.0
            ));
        }
        let crowded = self.x.is_crowded(right - MARGIN[0]);
        for (place, (at, label)) in self.x.marks.clone().into_iter().enumerate() {
            let (x, label) = (self.left(at), escape(&label));
            let down = if crowded && place % 2 == 1 { 29.0 } else { 16.0 };
            self.add(format_args!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>\
                 <text class=\"mark\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>\n",
                MARGIN[2],
                bottom + down
            ));
        }
        let (x_name, y_name) = (escape(&self.x.name), escape(&self.y.name));
        let (across, down) = (f64::midpoint(MARGIN[0], right), f64::midpoint(MARGIN[2], bottom));
        self.add(format_args!(
            "<text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x_name}</text>\
             <text transform=\"translate(14 {down:.1}) rotate(-90)\" text-anchor=\"middle\">{y_name}</text>\n",
            HEIGHT - 8.0
        ));
    }

    /// A line through points; `class` names its colour, `title` shows when pointed at.
    pub(super) fn line(&mut self, class: &str, title: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (x, y) in points.iter().filter(|it| it.0.is_finite() && it.1.is_finite()) {
            let _ = write!(path, "{:.1},{:.1} ", self.left(*x), self.top(*y));
        }
        let (class, title) = (escape(class), escape(title));
        self.add(format_args!(
            "<polyline class=\"line {class}\" points=\"{}\"><title>{title}</title></polyline>\n",
            path.trim_end()
        ));
    }

    /// A dot.
    pub(super) fn dot(&mut self, class: &str, title: &str, at: (f64, f64), radius: f64) {
        let (x, y) = (self.left(at.0), self.top(at.1));
        let (class, title) = (escape(class), escape(title));
        self.add(format_args!(
            "<circle class=\"fill {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>{title}</title></circle>\n"
        ));
    }

    /// A bar from the foot of the plot, and a whisker where its interval is.
    pub(super) fn bar(&mut self, class: &str, title: &str, across: (f64, f64), heights: [f64; 3]) {
        let [value, low, high] = heights;
        let (left, right) = (self.left(across.0), self.left(across.1));
        let (top, bottom) = (self.top(value), HEIGHT - MARGIN[3]);
        let (class, title) = (escape(class), escape(title));
        let middle = f64::midpoint(left, right);
        self.add(format_args!(
            "<rect class=\"fill {class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{title}</title></rect>\n",
            right - left,
            (bottom - top).max(0.0)
        ));
        self.whisker_at(middle, low, high);
    }

    /// An interval.
    pub(super) fn whisker(&mut self, across: f64, low: f64, high: f64) {
        self.whisker_at(self.left(across), low, high);
    }

    fn whisker_at(&mut self, x: f64, low: f64, high: f64) {
        if low.is_finite() && high.is_finite() {
            let (low, high) = (self.top(low), self.top(high));
            self.add(format_args!(
                "<line class=\"whisker\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/>\n"
            ));
        }
    }

    /// The finished drawing; `id` must be unique on the page.
    pub(super) fn finish(self, id: &str, title: &str, description: &str) -> String {
        let (id, title, description) = (escape(id), escape(title), escape(description));
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>\n{}</svg>\n",
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_lie_inside() {
        let labels = |it: &Axis| it.marks.iter().map(|it| it.1.clone()).collect::<Vec<_>>();
        let axis = Axis::linear("x", 0.4, 1.0);
        assert_eq!(labels(&axis), ["0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::powers("x", 0.02, 1.0);
        assert_eq!(labels(&axis), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
        assert!(axis.marks.iter().all(|it| (axis.low..=axis.high).contains(&it.0)));
        assert_eq!(Axis::linear("x", 2.0, 2.0).share(2.0), 0.0);
        assert!(Axis::names("x", &["a long name".to_owned(), "b".to_owned()]).is_crowded(100.0));
        assert!(!axis.is_crowded(600.0));
    }

    #[test]
    fn nothing_gets_out_of_a_text() {
        assert_eq!(escape("<a b=\"c\">&'\u{1}"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\u{fffd}");
        let mut plot = Plot::new(Axis::linear("<x>", 0.0, 1.0), Axis::linear("y", 0.0, 1.0));
        plot.line("s0", "<", &[(0.5, f64::NAN), (0.5, 0.5)]);
        plot.bar("s0", "<", (0.0, 1.0), [0.5, f64::NAN, 0.7]);
        let svg = plot.finish("i", "<t>", "<d>");
        assert!(!svg.contains("NaN") && !svg.contains("<x>") && !svg.contains("<t>"), "{svg}");
        assert_eq!((svg.matches("<rect").count(), svg.matches("whisker").count()), (1, 0));
    }
}
