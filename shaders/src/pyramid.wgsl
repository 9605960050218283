// A plane of half the size, with its edges carried on: `first` from a picture, `next` from what this made.
//
// Inputs:  picture: luma, r8unorm; or finer: a plane as this makes it, four samples to a word.
// Outputs: coarser: the plane with half as many columns and rows, rounded up, and 16 samples more on every side, four to a
//          word; rows begin `stride` words apart.
// Spaces:  codes in 0..255; each sample is the mean of the four that it covers, halves up. Beyond its edges a plane goes on
//          as at them.
// Cost:    per word 16 loads and one store.

struct Shape {
    // Of the plane that is made.
    columns: u32,
    rows: u32,
    // Words from row to row of what is made, and of what it is made from.
    stride: u32,
    finer_stride: u32,
    // Of the plane that it is made from.
    finer_columns: u32,
    finer_rows: u32,
    // Where both begin, in words.
    begin: u32,
    finer_begin: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> coarser: array<u32>;
@group(0) @binding(2) var picture: texture_2d<f32>;
@group(0) @binding(3) var<storage, read> finer: array<u32>;

const MARGIN = 16;

fn in_picture(at: vec2<i32>) -> u32 {
    let last = vec2<i32>(textureDimensions(picture)) - 1;
    return u32(textureLoad(picture, min(at, last), 0).r * 255.0 + 0.5);
}

fn in_finer(at: vec2<i32>) -> u32 {
    let last = vec2<i32>(i32(shape.finer_columns), i32(shape.finer_rows)) - 1;
    let place = vec2<u32>(min(at, last) + MARGIN);
    return finer[shape.finer_begin + place.y * shape.finer_stride + place.x / 4u] >> (8u * (place.x % 4u)) & 255u;
}

// The first of the four samples that one covers.
fn covered(place: vec2<i32>) -> vec2<i32> {
    return 2 * clamp(place - MARGIN, vec2<i32>(0), vec2<i32>(i32(shape.columns), i32(shape.rows)) - 1);
}

fn inside(id: vec2<u32>) -> bool {
    return id.x < shape.stride && id.y < shape.rows + 2u * u32(MARGIN);
}

@compute @workgroup_size(8, 8)
fn first(@builtin(global_invocation_id) id: vec3<u32>) {
    if !inside(id.xy) {
        return;
    }
    var word = 0u;
    for (var at = 0u; at < 4u; at++) {
        let from_ = covered(vec2<i32>(vec2<u32>(4u * id.x + at, id.y)));
        let sum = in_picture(from_) + in_picture(from_ + vec2<i32>(1, 0)) + in_picture(from_ + vec2<i32>(0, 1)) + in_picture(from_ + 1);
        word |= (sum + 2u) / 4u << (8u * at);
    }
    coarser[shape.begin + id.y * shape.stride + id.x] = word;
}

@compute @workgroup_size(8, 8)
fn next(@builtin(global_invocation_id) id: vec3<u32>) {
    if !inside(id.xy) {
        return;
    }
    var word = 0u;
    for (var at = 0u; at < 4u; at++) {
        let from_ = covered(vec2<i32>(vec2<u32>(4u * id.x + at, id.y)));
        let sum = in_finer(from_) + in_finer(from_ + vec2<i32>(1, 0)) + in_finer(from_ + vec2<i32>(0, 1)) + in_finer(from_ + 1);
        word |= (sum + 2u) / 4u << (8u * at);
    }
    coarser[shape.begin + id.y * shape.stride + id.x] = word;
}
