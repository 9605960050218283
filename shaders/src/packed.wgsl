// One layer of a network in whole numbers of 8 bits: what conv.wgsl does in floats.
//
// Inputs:  given: the tensor it reads; weights: for each 32 outputs, each slice of inputs, each tap by row and column: of each
//          output the weights of the slice's four channels; levels: the bias of each output, then from the 64th on what
//          one of its sums stands for; added: a tensor of the answer's shape, or anything where `adds` is 0.
// Outputs: made: the answer: four numbers of 8 bits to a word, or where ANSWER is 1 four floats in four words.
// Spaces:  tensors in slices of four channels, each slice row by row; beyond their edges tensors are zero. A number of 8 bits
//          stands for itself times its tensor's scale. Outputs of a transposed convolution come four times, once for each
//          of the places that one place makes.
// Cost:    a workgroup makes 16 × 8 places of 32 outputs; it loads each place that it looks at once per slice, and 1.2 KiB
//          of weights. Per invocation and slice of inputs, 64 products of four numbers for each tap, on 8 loads of 4 bytes
//          and two of 16 from the workgroup's memory.

// Taps on a side, 1 or 3; places between one window and the next, 1 or 2; places on a side that one makes, 1 or 2.
override SIDE = 3u;
override STRIDE = 1u;
override SPREAD = 1u;
// 1 where the answer is to be floats.
override ANSWER = 0u;

struct Shape {
    // Of what is read, and of the answer.
    from_columns: u32,
    from_rows: u32,
    columns: u32,
    rows: u32,
    from_slices: u32,
    // Of the answer.
    slices: u32,
    // 1 where a tensor is added.
    adds: u32,
    // 1 where negative values are cut off.
    cuts: u32,
    // What one stands for in the tensor that is added, and how many stand for one in the answer.
    added_scale: f32,
    made_scale: f32,
    unused: vec2<u32>,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> levels: array<vec4<f32>, 128>;
@group(0) @binding(4) var<storage, read> added: array<u32>;
@group(0) @binding(5) var<storage, read_write> made: array<u32>;

// Places of a workgroup, and slices of outputs.
const ACROSS = 16u;
const DOWN = 8u;
const BLOCK = 8u;
// What 16 × 8 windows of 3 × 3 look at, at every second place.
const SEEN = 561u;

var<workgroup> seen: array<u32, SEEN>;
var<workgroup> taps: array<vec4<u32>, 72>;

fn load(first: vec2<i32>, slice: u32, block: u32, local: u32) {
    let wide = (ACROSS - 1u) * STRIDE + SIDE;
    let high = (DOWN - 1u) * STRIDE + SIDE;
    let size = vec2<i32>(i32(shape.from_columns), i32(shape.from_rows));
    for (var at = local; at < wide * high; at += 64u) {
        let place = first + vec2<i32>(i32(at % wide), i32(at / wide));
        var value = 0u;
        if all(place >= vec2<i32>(0)) && all(place < size) {
            value = given[(slice * shape.from_rows + u32(place.y)) * shape.from_columns + u32(place.x)];
        }
        seen[at] = value;
    }
    let count = SIDE * SIDE * BLOCK;
    for (var at = local; at < count; at += 64u) {
        taps[at] = weights[(block * shape.from_slices + slice) * count + at];
    }
}

// The products of one place's four channels with four outputs.
fn products(place: u32, weights: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(
        dot4I8Packed(place, weights.x), dot4I8Packed(place, weights.y),
        dot4I8Packed(place, weights.z), dot4I8Packed(place, weights.w));
}

fn store(place: vec2<u32>, slice: u32, sum: vec4<i32>) {
    if slice >= SPREAD * SPREAD * shape.slices {
        return;
    }
    let turn = slice / shape.slices;
    let to = SPREAD * place + vec2<u32>(turn % SPREAD, turn / SPREAD);
    if to.x >= shape.columns || to.y >= shape.rows {
        return;
    }
    let at = (slice % shape.slices * shape.rows + to.y) * shape.columns + to.x;
    var value = vec4<f32>(sum) * levels[64u + slice % shape.slices] + levels[slice % shape.slices];
    if shape.adds == 1u {
        value += vec4<f32>(unpack4xI8(added[at])) * shape.added_scale;
    }
    if shape.cuts == 1u {
        value = max(value, vec4<f32>(0.0));
    }
    if ANSWER == 1u {
        let bits = bitcast<vec4<u32>>(value);
        made[4u * at] = bits.x;
        made[4u * at + 1u] = bits.y;
        made[4u * at + 2u] = bits.z;
        made[4u * at + 3u] = bits.w;
    } else {
        made[at] = pack4xI8Clamp(vec4<i32>(round(value * shape.made_scale)));
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let column = local % ACROSS;
    // Two slices of outputs, of eight places below each other.
    let pair = local / ACROSS * 2u;
    let corner = vec2<u32>(group.x * ACROSS, group.y * DOWN);
    let first = vec2<i32>(corner * STRIDE) - i32(SIDE / 2u);
    let step = ((ACROSS - 1u) * STRIDE + SIDE) * STRIDE;
    var a0 = vec4<i32>(); var a1 = a0; var a2 = a0; var a3 = a0; var a4 = a0; var a5 = a0; var a6 = a0; var a7 = a0;
    var b0 = a0; var b1 = a0; var b2 = a0; var b3 = a0; var b4 = a0; var b5 = a0; var b6 = a0; var b7 = a0;
    for (var slice = 0u; slice < shape.from_slices; slice++) {
        workgroupBarrier();
        load(first, slice, group.z, local);
        workgroupBarrier();
        for (var tap = 0u; tap < SIDE * SIDE; tap++) {
            let at = tap / SIDE * (step / STRIDE) + column * STRIDE + tap % SIDE;
            let one = taps[tap * BLOCK + pair];
            let other = taps[tap * BLOCK + pair + 1u];
            let v0 = seen[at];
            let v1 = seen[at + step];
            let v2 = seen[at + 2u * step];
            let v3 = seen[at + 3u * step];
            let v4 = seen[at + 4u * step];
            let v5 = seen[at + 5u * step];
            let v6 = seen[at + 6u * step];
            let v7 = seen[at + 7u * step];
            a0 += products(v0, one); a1 += products(v1, one); a2 += products(v2, one); a3 += products(v3, one);
            a4 += products(v4, one); a5 += products(v5, one); a6 += products(v6, one); a7 += products(v7, one);
            b0 += products(v0, other); b1 += products(v1, other); b2 += products(v2, other); b3 += products(v3, other);
            b4 += products(v4, other); b5 += products(v5, other); b6 += products(v6, other); b7 += products(v7, other);
        }
    }
    let to = group.z * BLOCK + pair;
    let place = corner + vec2<u32>(column, 0u);
    store(place, to, a0);
    store(place, to + 1u, b0);
    store(place + vec2<u32>(0u, 1u), to, a1);
    store(place + vec2<u32>(0u, 1u), to + 1u, b1);
    store(place + vec2<u32>(0u, 2u), to, a2);
    store(place + vec2<u32>(0u, 2u), to + 1u, b2);
    store(place + vec2<u32>(0u, 3u), to, a3);
    store(place + vec2<u32>(0u, 3u), to + 1u, b3);
    store(place + vec2<u32>(0u, 4u), to, a4);
    store(place + vec2<u32>(0u, 4u), to + 1u, b4);
    store(place + vec2<u32>(0u, 5u), to, a5);
    store(place + vec2<u32>(0u, 5u), to + 1u, b5);
    store(place + vec2<u32>(0u, 6u), to, a6);
    store(place + vec2<u32>(0u, 6u), to + 1u, b6);
    store(place + vec2<u32>(0u, 7u), to, a7);
    store(place + vec2<u32>(0u, 7u), to + 1u, b7);
}
