// For each block of the made picture, the vector near it that joins the two pictures best.
//
// Inputs:  earlier, later: luma, r8unorm; raw: the decoder's vectors by cells, 0x80008000 where unknown;
//          soft: smoothed vectors by blocks, all known.
// Outputs: chosen: one vector per block, x in the lower and y in the upper half.
// Spaces:  blocks of 8 × 8 luma pixels, cells of 4 × 4; vectors in 1/16 pixel, from the earlier to the later picture.
// Cost:    per block up to 12 candidates of 256 texel loads each; most are equal and are compared once. Where
//          none fits, 32 more.

struct Shape {
    columns: u32,
    rows: u32,
    // The time in 1/256; above 256 it is after the later picture.
    split: i32,
    raw_columns: u32,
    raw_rows: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> raw: array<u32>;
@group(0) @binding(2) var<storage, read> soft: array<u32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(4) var earlier: texture_2d<f32>;
@group(0) @binding(5) var later: texture_2d<f32>;

const UNKNOWN = 0x80008000u;

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn back(vector: vec2<i32>) -> vec2<i32> {
    return (vector * shape.split + 128) >> vec2<u32>(8u);
}

fn raw_at(place: vec2<i32>) -> u32 {
    let inside = clamp(place, vec2<i32>(0), vec2<i32>(i32(shape.raw_columns), i32(shape.raw_rows)) - 1);
    return raw[u32(inside.y) * shape.raw_columns + u32(inside.x)];
}

fn difference(whole: vec2<i32>, at: vec2<i32>) -> i32 {
    let from_ = at - back(whole);
    let to = from_ + whole;
    let last = vec2<i32>(textureDimensions(earlier)) - 1;
    var sum = 0.0;
    for (var row = 0; row < 16; row += 2) {
        for (var column = 0; column < 16; column++) {
            let offset = vec2<i32>(column, row);
            let a = textureLoad(earlier, clamp(from_ + offset, vec2<i32>(0), last), 0).r;
            let b = textureLoad(later, clamp(to + offset, vec2<i32>(0), last), 0).r;
            sum += floor(abs(a - b) * 255.0 + 0.5);
        }
    }
    return 2 * i32(sum);
}

fn cost_of(vector: vec2<i32>, smoothed: vec2<i32>, block: vec2<u32>) -> i32 {
    let apart = abs(vector - smoothed);
    return difference((vector + 8) >> vec2<u32>(4u), 8 * vec2<i32>(block) - 4) + 4 * min(apart.x + apart.y, 512);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let block = id.y * shape.columns + id.x;
    let smoothed = parts(soft[block]);
    let cell = 2 * vec2<i32>(id.xy);
    let onward = (smoothed - back(smoothed) + 32) >> vec2<u32>(6u);
    var offsets = array<vec2<i32>, 9>(
        vec2<i32>(0, 0), vec2<i32>(-2, 0), vec2<i32>(3, 0), vec2<i32>(0, -2), vec2<i32>(0, 3),
        vec2<i32>(-4, -4), vec2<i32>(5, -4), vec2<i32>(-4, 5), vec2<i32>(5, 5));
    var candidates: array<u32, 12>;
    candidates[0] = soft[block];
    candidates[1] = 0u;
    candidates[2] = raw_at(cell + onward);
    for (var at = 0; at < 9; at++) {
        candidates[3 + at] = raw_at(cell + offsets[at]);
    }
    var around = array<vec2<i32>, 8>(
        vec2<i32>(-1, 0), vec2<i32>(1, 0), vec2<i32>(0, -1), vec2<i32>(0, 1),
        vec2<i32>(-1, -1), vec2<i32>(1, -1), vec2<i32>(-1, 1), vec2<i32>(1, 1));
    var best = smoothed;
    var least = 0x7fffffff;
    for (var at = 0; at < 12; at++) {
        let vector = parts(candidates[at]);
        let whole = (vector + 8) >> vec2<u32>(4u);
        var fresh = candidates[at] != UNKNOWN;
        for (var other = 0; other < at; other++) {
            fresh = fresh && any(((parts(candidates[other]) + 8) >> vec2<u32>(4u)) != whole);
        }
        if fresh {
            let cost = cost_of(vector, smoothed, id.xy);
            if cost < least {
                least = cost;
                best = vector;
            }
        }
    }
    // 8 codes for each of 256 samples: too poor not to look further.
    if least > 2048 {
        least -= 512;
        for (var step = 8; step > 0; step /= 2) {
            let centre = best;
            for (var at = 0; at < 8; at++) {
                let moved = clamp(centre + around[at] * step * 16, vec2<i32>(-8192), vec2<i32>(8192));
                let cost = cost_of(moved, smoothed, id.xy);
                if cost < least {
                    least = cost;
                    best = moved;
                }
            }
        }
    }
    chosen[block] = (u32(best.x) & 0xffffu) | (u32(best.y) << 16u);
}
