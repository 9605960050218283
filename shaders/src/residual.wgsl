// Adds what the network found to a picture that was made without it: `luma` once, `chroma` once for each plane of chroma.
//
// Inputs:  answer: of each cell its residual in codes over 255, in slices of four: 4 of luma, by rows, one of
//          blue-difference and one of red-difference chroma, 2 × 2; verdict: what compare.wgsl found over the whole picture.
// Outputs: made: four samples to a word, `stride` words to a row, to which the residual is added; nothing is added to what
//          is held.
// Spaces:  codes 0..255; cells of 4 × 4 samples of luma, of which four lie on one of chroma.
// Cost:    per run of four samples one load of 4 numbers (two for chroma), one load and one store of 4 bytes.

// What the variant of half the precision has otherwise.
alias Four = vec4<f32>;

struct Shape {
    // Cells of luma.
    columns: u32,
    rows: u32,
    stride: u32,
    // The slice of this plane's residual, for chroma.
    slice: u32,
    // Above this sum of the least differences the scene was cut.
    cut: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> answer: array<Four>;
@group(0) @binding(2) var<storage, read> verdict: array<u32, 2>;
@group(0) @binding(3) var<storage, read_write> made: array<u32>;

fn held() -> bool {
    return verdict[0] > shape.cut || verdict[1] <= 32u;
}

fn residual(slice: u32, column: u32, row: u32) -> vec4<f32> {
    return vec4<f32>(answer[(slice * shape.rows + row) * shape.columns + min(column, shape.columns - 1u)]) * 255.0;
}

fn add(at: u32, residual: vec4<f32>) {
    let codes = vec4<f32>((vec4<u32>(made[at]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
    let sums = vec4<u32>(clamp(floor(codes + residual + 0.5), vec4<f32>(0.0), vec4<f32>(255.0)));
    made[at] = sums.x | (sums.y << 8u) | (sums.z << 16u) | (sums.w << 24u);
}

@compute @workgroup_size(8, 8)
fn luma(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < 4u * shape.rows && !held() {
        add(id.y * shape.stride + id.x, residual(id.y % 4u, id.x, id.y / 4u));
    }
}

@compute @workgroup_size(8, 8)
fn chroma(@builtin(global_invocation_id) id: vec3<u32>) {
    if 2u * id.x < shape.columns && id.y < 2u * shape.rows && !held() {
        let left = residual(shape.slice, 2u * id.x, id.y / 2u);
        let right = residual(shape.slice, 2u * id.x + 1u, id.y / 2u);
        let upper = id.y % 2u == 0u;
        add(id.y * shape.stride + id.x, vec4<f32>(select(left.zw, left.xy, upper), select(right.zw, right.xy, upper)));
    }
}
