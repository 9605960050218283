"""Watches a stream by WHEP with aiortc and keeps the luma of one place of every picture, after some seconds in which nothing is
kept. The pictures' places are written one after the other to a file; prints how many there are, over how long, and their sizes.

    python3 watch_region.py http://127.0.0.1:8080/whep/name?view=received left top width height wait seconds file
"""

import asyncio
import json
import sys
import time
import urllib.parse

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

from watch_aiortc import ask, offered


def cut(picture, left, top, width, height):
    plane = picture.planes[0]
    luma = memoryview(plane)
    rows = range(top, top + height)
    return b"".join(bytes(luma[row * plane.line_size + left :][:width]) for row in rows)


async def main(endpoint, place, wait, seconds, path):
    # Without a word it would ask a STUN server on the open network.
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sight = peer.addTransceiver("video", direction="recvonly")
    codecs = RTCRtpReceiver.getCapabilities("video").codecs
    sight.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
    await peer.setLocalDescription(await peer.createOffer())
    location, answer = await asyncio.wait_for(offered(endpoint, peer.localDescription.sdp.encode()), 30)
    session = urllib.parse.urljoin(endpoint, location)
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    began = time.monotonic()
    kept, sizes = 0, set()
    with open(path, "wb") as file:

        async def watch():
            nonlocal kept
            while True:
                picture = await sight.receiver.track.recv()
                if time.monotonic() - began < wait:
                    continue
                sizes.add((picture.width, picture.height))
                file.write(cut(picture, *place))
                kept += 1

        try:
            await asyncio.wait_for(watch(), wait + seconds)
        except asyncio.TimeoutError:
            pass
    await asyncio.to_thread(ask, "DELETE", session)
    print(json.dumps({"pictures": kept, "seconds": seconds, "sizes": sorted(sizes)}), flush=True)
    await peer.close()


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:6]]
    asyncio.run(main(sys.argv[1], numbers, float(sys.argv[6]), float(sys.argv[7]), sys.argv[8]))
