//! One vector per prompt, as an encoder gave them.
//!
//! In: rows of one length in one slice, in the order of the prompts. Out: rows of length 1.
//! Invariant: every number is finite; a row of zeros stays one. Not here: who encodes.

use ndarray::Array2;

/// Vectors of all prompts of a table, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    values: &'a [f32],
    dimension: usize,
}

/// Why a slice cannot be vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// Not one row per prompt.
    #[error("{values} numbers are not {prompts} vectors of {dimension}")]
    Shape {
        /// Numbers given.
        values: usize,
        /// Rows needed.
        prompts: usize,
        /// Numbers per row.
        dimension: usize,
    },
    /// NaN or infinite.
    #[error("the vector of prompt {prompt} holds a number that is not finite")]
    NotFinite {
        /// The prompt, from 0.
        prompt: usize,
    },
}

impl<'a> Vectors<'a> {
    /// `prompts` rows of `dimension` numbers each.
    ///
    /// # Errors
    /// [`VectorError`] where the length is wrong or a number is not finite.
    pub fn new(values: &'a [f32], prompts: usize, dimension: usize) -> Result<Self, VectorError> {
        if dimension == 0 || prompts.checked_mul(dimension) != Some(values.len()) {
            return Err(VectorError::Shape { values: values.len(), prompts, dimension });
        }
        match values.iter().position(|it| !it.is_finite()) {
            Some(at) => Err(VectorError::NotFinite { prompt: at / dimension }),
            None => Ok(Self { values, dimension }),
        }
    }

    /// Numbers per row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The rows of these prompts, each scaled to length 1; zeros for a prompt that is not there.
    pub(super) fn unit_rows(&self, prompts: &[u32]) -> Array2<f32> {
        let mut rows = Array2::zeros((prompts.len(), self.dimension));
        for (mut row, prompt) in rows.rows_mut().into_iter().zip(prompts) {
            let begin = (*prompt as usize).saturating_mul(self.dimension);
            let Some(found) = self.values.get(begin..begin.saturating_add(self.dimension)) else {
                continue;
            };
            let square: f64 = found.iter().map(|it| f64::from(*it).powi(2)).sum();
            if square > 0.0 {
                let length = square.sqrt();
                row.iter_mut()
                    .zip(found)
                    .for_each(|(to, it)| *to = (f64::from(*it) / length) as f32);
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_length_one_and_only_finite_numbers_pass() {
        let values = [3.0, 4.0, 0.0, 0.0, 1e30, 1e30];
        let rows = Vectors::new(&values, 3, 2).unwrap().unit_rows(&[0, 1, 2, 9]);
        let half = 0.5_f32.sqrt();
        assert_eq!(rows, ndarray::array![[0.6, 0.8], [0.0, 0.0], [half, half], [0.0, 0.0]]);
        assert!(matches!(Vectors::new(&values, 2, 2), Err(VectorError::Shape { .. })));
        let bad = Vectors::new(&[0.0, 0.0, f32::NAN, 0.0], 2, 2).err();
        assert_eq!(bad, Some(VectorError::NotFinite { prompt: 1 }));
    }
}
