"""Publishes a recording and a test picture with aiortc, whose ICE, DTLS, SRTP and SCTP are written in Python, and prints
what came back as one JSON object: the texts of the final words, the sizes of the pictures, and the status of the goodbye.

    python3 publish_aiortc.py http://127.0.0.1:8080/whip/name talk.wav seconds
"""

import asyncio
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer


def ask(method, url, body=None):
    headers = {"Content-Type": "application/sdp"} if body else {}
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


async def main(endpoint, recording, limit):
    # Without a word it would ask a STUN server on the open network.
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    events = peer.createDataChannel("hearsight")
    heard, pictures, enough = [], set(), asyncio.Event()

    @events.on("message")
    def told(text):
        event = json.loads(text)
        if event["type"] == "words.final":
            heard.extend(word["text"] for word in event["words"])
        elif event["type"] == "picture.stats":
            pictures.add((event["width"], event["height"]))
        if len(heard) >= 8 and pictures:
            enough.set()

    sound = MediaPlayer(recording)
    picture = MediaPlayer("testsrc=size=640x360:rate=15", format="lavfi")
    peer.addTransceiver(sound.audio, direction="sendonly")
    sight = peer.addTransceiver(picture.video, direction="sendonly")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    sight.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
    await peer.setLocalDescription(await peer.createOffer())
    status, headers, answer = await asyncio.to_thread(
        ask, "POST", endpoint, peer.localDescription.sdp.encode()
    )
    if status != 201:
        sys.exit(f"the offer was answered {status}: {answer}")
    session = urllib.parse.urljoin(endpoint, headers["Location"])
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    try:
        await asyncio.wait_for(enough.wait(), limit)
    except asyncio.TimeoutError:
        pass
    goodbye, _, _ = await asyncio.to_thread(ask, "DELETE", session)
    print(json.dumps({"words": heard, "pictures": sorted(pictures), "goodbye": goodbye, "session": session}), flush=True)
    await peer.close()


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
