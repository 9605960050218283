// How fast a device moves memory and multiplies: `copy` and `multiply` do nothing else.
//
// Inputs:  from: `copy`, as many numbers as there are invocations; turns: how often `multiply` goes round.
// Outputs: to: `copy`, the same numbers; `multiply`, for each invocation the sum of what 32 rows of products come to.
// Spaces:  numbers without a unit; x becomes x · a + b, over and over.
// Cost:    `copy`: 16 bytes read and 16 written (half of that in half the precision); `multiply`: 128 multiplications, each
//          with an addition, per turn, and one store.

// What the variant of half the precision has otherwise.
alias Four = vec4<f32>;

struct Shape {
    count: u32,
    turns: u32,
    unused: vec2<u32>,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> from_: array<Four>;
@group(0) @binding(2) var<storage, read_write> to: array<Four>;

@compute @workgroup_size(256)
fn copy(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.count {
        to[id.x] = from_[id.x];
    }
}

@compute @workgroup_size(256)
fn multiply(@builtin(global_invocation_id) id: vec3<u32>) {
    let a = Four(vec4<f32>(0.5, 0.25, 0.5, 0.25));
    var x0 = Four(vec4<f32>(f32(id.x % 8u)));
    var x1 = x0 + a; var x2 = x1 + a; var x3 = x2 + a; var x4 = x3 + a; var x5 = x4 + a; var x6 = x5 + a; var x7 = x6 + a;
    for (var turn = 0u; turn < shape.turns; turn++) {
        x0 = x0 * a + a; x1 = x1 * a + a; x2 = x2 * a + a; x3 = x3 * a + a;
        x4 = x4 * a + a; x5 = x5 * a + a; x6 = x6 * a + a; x7 = x7 * a + a;
        x0 = x0 * a + a; x1 = x1 * a + a; x2 = x2 * a + a; x3 = x3 * a + a;
        x4 = x4 * a + a; x5 = x5 * a + a; x6 = x6 * a + a; x7 = x7 * a + a;
        x0 = x0 * a + a; x1 = x1 * a + a; x2 = x2 * a + a; x3 = x3 * a + a;
        x4 = x4 * a + a; x5 = x5 * a + a; x6 = x6 * a + a; x7 = x7 * a + a;
        x0 = x0 * a + a; x1 = x1 * a + a; x2 = x2 * a + a; x3 = x3 * a + a;
        x4 = x4 * a + a; x5 = x5 * a + a; x6 = x6 * a + a; x7 = x7 * a + a;
    }
    to[id.x] = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7;
}
