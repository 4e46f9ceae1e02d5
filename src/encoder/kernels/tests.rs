//! Every make against plain sums, bit for bit.

use super::*;

/// Numbers that look random and are the same in every run.
fn noise(count: usize, seed: u32) -> impl Iterator<Item = i8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) % 255) as i8
    })
}

/// Every value from -127 to 127; -128 is in no weight and in no row.
fn int8(count: usize, seed: u32) -> Vec<i8> {
    noise(count, seed).map(|it| it.max(-127)).collect()
}

fn naive(rows: &[i8], weights: &[i8], depth: usize) -> Vec<Vec<f32>> {
    let dot = |a: &[i8], b: &[i8]| {
        let each = a.iter().zip(b).map(|(a, b)| i64::from(*a) * i64::from(*b));
        i32::try_from(each.sum::<i64>()).expect("within 32 bits") as f32
    };
    let of = |row| weights.chunks_exact(depth).map(|it| dot(row, it)).collect();
    rows.chunks_exact(depth).map(of).collect()
}

fn check(kernel: Kernel, (rows, weights): (&[i8], &[i8]), depth: usize) {
    let packed = Packed::new(weights, depth).expect("sizes that kernels take");
    let sums: Vec<i32> =
        rows.chunks_exact(depth).map(|it| it.iter().copied().map(i32::from).sum()).collect();
    let wanted = naive(rows, weights, depth);
    for (panel, bytes) in packed.panels().enumerate() {
        let mut tile = [[f32::NAN; PANEL]; ROWS];
        kernel.tile(Rows { values: rows, sums: &sums }, bytes, &mut tile);
        for (at, row) in tile.iter().enumerate() {
            match wanted.get(at) {
                Some(wanted) => assert_eq!(row, &wanted[panel * PANEL..][..PANEL], "{kernel:?}"),
                None => assert!(row.iter().all(|it| it.is_nan()), "{kernel:?} wrote too much"),
            }
        }
    }
}

#[test]
fn every_make_gives_the_plain_sums() {
    for kernel in Kernel::all() {
        for (seed, (depth, width)) in
            [(64, 64), (64, 192), (128, 64), (384, 128), (1_536, 64)].into_iter().enumerate()
        {
            for count in 1..=ROWS {
                let seed = (seed * 10 + count) as u32;
                let (rows, weights) = (int8(count * depth, seed), int8(width * depth, seed + 99));
                check(kernel, (&rows, &weights), depth);
            }
        }
    }
}

#[test]
fn the_largest_sums_do_not_saturate() {
    for kernel in Kernel::all() {
        for (row, weight) in [(127, 127), (-127, 127), (127, -127), (-127, -127)] {
            let (rows, weights) = (vec![row; 2 * DEPTH_MAX], vec![weight; PANEL * DEPTH_MAX]);
            check(kernel, (&rows, &weights), DEPTH_MAX);
        }
    }
}

#[test]
fn the_portable_make_is_always_there_and_last() {
    let all: Vec<_> = Kernel::all().map(Kernel::name).collect();
    assert_eq!(all.last(), Some(&"portable"));
    assert_eq!(Kernel::best().name(), all[0]);
}

#[test]
fn odd_sizes_are_not_packed() {
    for (weights, depth) in [(0, 64), (64 * 63, 63), (64 * 65, 65), (63 * 64, 64), (64, 0)] {
        assert!(Packed::new(&vec![0; weights], depth).is_none(), "{weights} {depth}");
    }
    assert!(Packed::new(&vec![0; 64 * (DEPTH_MAX + 64)], DEPTH_MAX + 64).is_none());
}
