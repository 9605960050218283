// One layer of a network: a convolution of 3 × 3 (at every or at every second place), of 1 × 1, or a transposed one of 2 × 2.
//
// Inputs:  given: the tensor it reads; weights: for each 32 outputs, each slice of inputs, each tap by row and column: of each
//          of the slice's four channels, the weights of eight slices of outputs; biases: one for each output; added: a
//          tensor of the answer's shape, or anything where `adds` is 0.
// Outputs: made: the answer.
// Spaces:  tensors in slices of four channels, each slice row by row; beyond their edges tensors are zero. Outputs of a
//          transposed convolution come four times, once for each of the places that one place makes.
// Cost:    a workgroup makes 16 × 8 places of 32 outputs; it loads each place that it looks at once per slice, and 4.6 KiB
//          of weights. Per invocation and slice of inputs, 64 multiplications for each tap and channel, on 16 loads of
//          16 bytes from the workgroup's memory. Sums of a slice are made in the precision of the tensors, all others in
//          32 bits.

// What the variant of half the precision has otherwise.
alias Four = vec4<f32>;
alias Square = mat4x4<f32>;

// Taps on a side, 1 or 3; places between one window and the next, 1 or 2; places on a side that one makes, 1 or 2.
override SIDE = 3u;
override STRIDE = 1u;
override SPREAD = 1u;

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
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> given: array<Four>;
@group(0) @binding(2) var<storage, read> weights: array<Four>;
@group(0) @binding(3) var<uniform> biases: array<vec4<f32>, 64>;
@group(0) @binding(4) var<storage, read> added: array<Four>;
@group(0) @binding(5) var<storage, read_write> made: array<Four>;

// Places of a workgroup, and slices of outputs.
const ACROSS = 16u;
const DOWN = 8u;
const BLOCK = 8u;
// What 16 × 8 windows of 3 × 3 look at, at every second place.
const SEEN = 561u;

var<workgroup> seen: array<Four, SEEN>;
var<workgroup> taps: array<Four, 288>;

fn load(first: vec2<i32>, slice: u32, block: u32, local: u32) {
    let wide = (ACROSS - 1u) * STRIDE + SIDE;
    let high = (DOWN - 1u) * STRIDE + SIDE;
    let size = vec2<i32>(i32(shape.from_columns), i32(shape.from_rows));
    for (var at = local; at < wide * high; at += 64u) {
        let place = first + vec2<i32>(i32(at % wide), i32(at / wide));
        var value = Four();
        if all(place >= vec2<i32>(0)) && all(place < size) {
            value = given[(slice * shape.from_rows + u32(place.y)) * shape.from_columns + u32(place.x)];
        }
        seen[at] = value;
    }
    let count = SIDE * SIDE * 4u * BLOCK;
    for (var at = local; at < count; at += 64u) {
        taps[at] = weights[(block * shape.from_slices + slice) * count + at];
    }
}

fn square(at: u32) -> Square {
    return Square(taps[at], taps[at + BLOCK], taps[at + 2u * BLOCK], taps[at + 3u * BLOCK]);
}

fn store(place: vec2<u32>, slice: u32, sum: vec4<f32>) {
    if slice >= SPREAD * SPREAD * shape.slices {
        return;
    }
    let turn = slice / shape.slices;
    let to = SPREAD * place + vec2<u32>(turn % SPREAD, turn / SPREAD);
    if to.x >= shape.columns || to.y >= shape.rows {
        return;
    }
    let at = (slice % shape.slices * shape.rows + to.y) * shape.columns + to.x;
    var value = sum + biases[slice % shape.slices];
    if shape.adds == 1u {
        value += vec4<f32>(added[at]);
    }
    if shape.cuts == 1u {
        value = max(value, vec4<f32>(0.0));
    }
    made[at] = Four(value);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let column = local % ACROSS;
    // Two slices of outputs, of eight places below each other.
    let pair = local / ACROSS * 2u;
    let corner = vec2<u32>(group.x * ACROSS, group.y * DOWN);
    let first = vec2<i32>(corner * STRIDE) - i32(SIDE / 2u);
    let step = ((ACROSS - 1u) * STRIDE + SIDE) * STRIDE;
    var a0 = vec4<f32>(); var a1 = a0; var a2 = a0; var a3 = a0; var a4 = a0; var a5 = a0; var a6 = a0; var a7 = a0;
    var b0 = a0; var b1 = a0; var b2 = a0; var b3 = a0; var b4 = a0; var b5 = a0; var b6 = a0; var b7 = a0;
    for (var slice = 0u; slice < shape.from_slices; slice++) {
        workgroupBarrier();
        load(first, slice, group.z, local);
        workgroupBarrier();
        var c0 = Four(); var c1 = c0; var c2 = c0; var c3 = c0; var c4 = c0; var c5 = c0; var c6 = c0; var c7 = c0;
        var d0 = c0; var d1 = c0; var d2 = c0; var d3 = c0; var d4 = c0; var d5 = c0; var d6 = c0; var d7 = c0;
        for (var tap = 0u; tap < SIDE * SIDE; tap++) {
            let at = tap / SIDE * (step / STRIDE) + column * STRIDE + tap % SIDE;
            let here = tap * 4u * BLOCK + pair;
            let one = square(here);
            let other = square(here + 1u);
            let v0 = seen[at];
            let v1 = seen[at + step];
            let v2 = seen[at + 2u * step];
            let v3 = seen[at + 3u * step];
            let v4 = seen[at + 4u * step];
            let v5 = seen[at + 5u * step];
            let v6 = seen[at + 6u * step];
            let v7 = seen[at + 7u * step];
            c0 += one * v0; c1 += one * v1; c2 += one * v2; c3 += one * v3;
            c4 += one * v4; c5 += one * v5; c6 += one * v6; c7 += one * v7;
            d0 += other * v0; d1 += other * v1; d2 += other * v2; d3 += other * v3;
            d4 += other * v4; d5 += other * v5; d6 += other * v6; d7 += other * v7;
        }
        a0 += vec4<f32>(c0); a1 += vec4<f32>(c1); a2 += vec4<f32>(c2); a3 += vec4<f32>(c3);
        a4 += vec4<f32>(c4); a5 += vec4<f32>(c5); a6 += vec4<f32>(c6); a7 += vec4<f32>(c7);
        b0 += vec4<f32>(d0); b1 += vec4<f32>(d1); b2 += vec4<f32>(d2); b3 += vec4<f32>(d3);
        b4 += vec4<f32>(d4); b5 += vec4<f32>(d5); b6 += vec4<f32>(d6); b7 += vec4<f32>(d7);
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
