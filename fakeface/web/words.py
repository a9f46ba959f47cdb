"""What the page says, in English and Korean."""

from collections.abc import Mapping
from typing import Literal

from fakeface.predictor import Reservation

Language = Literal["en", "ko"]
LANGUAGES: dict[Language, str] = {"en": "English", "ko": "한국어"}
"""Each by its own name."""

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Is this face a composite?",
        "lead": "Two networks look at every face in a photo for parts that were pasted in from another one: "
        "eyes, nose, mouth or all of it.",
        "drop": "Drop a photo here, or paste it",
        "choose": "Choose a photo",
        "camera": "Camera",
        "take": "Take the photo",
        "cancel": "Cancel",
        "limits": "JPEG, PNG, WEBP, BMP or TIFF, up to 20 MB. It stays on this machine, in memory, until it is judged.",
        "examples": "Or try a face that the project drew:",
        "example": "Drawn face {number}",
        "working": "Looking at the photo …",
        "done": "Done",
        "failed": "This photo could not be judged: {reason}",
        "unreachable": "the page's server does not answer",
        "no_face": "No face was found in this photo.",
        "whole": "Judge the whole picture all the same",
        "sample": "These models learned from drawn faces only. On a photo of a real person their answer means nothing.",
        "face": "Face {number}",
        "picture": "The whole picture",
        "photo_of": "The photo, with {faces} marked",
        "one_face": "one face",
        "many_faces": "{number} faces",
        "nothing": "nothing",
        "fake": "Fake",
        "real": "Real",
        "inconclusive": "Inconclusive",
        "says_fake": "Both models see the traces of a composite in this face.",
        "says_real": "Neither model sees the traces of a composite in this face.",
        "says_inconclusive": "Neither model is sure enough to call this face real or fake.",
        "says_differing": "The two models do not agree on this face, so together they say neither.",
        "says_novel": "The models have learned from no photo like this one, so they say neither.",
        "means": "What this does not mean",
        "means_fake": "It is no proof of an edit: of the validation photos called fake, up to {share} were real.",
        "means_real": "It is no proof that nobody edited the photo. Of the validation photos called real, up to {share} were "
        "composites; and faces made by an AI, filters and retouching are not what the models learned to see.",
        "means_inconclusive": "It does not mean half fake: the score lies where the models were wrong too often on the "
        "validation photos.",
        "means_novel": "It does not mean half fake, nor that something is wrong with the photo: of photos like it nobody has "
        "measured how often the models err.",
        "ce": "Cross-entropy",
        "bce": "BCE",
        "meter": "{model}: {answer}, {percent} likely a composite",
        "maps": "Map",
        "no_map": "Off",
        "origin": "Where the score comes from",
        "edits": "What was edited",
        "towards_fake": "speaks for a composite",
        "towards_real": "speaks for a real photo",
        "origin_note": "It shows what the score is made of, not what was edited: on test photos it did not find the edits.",
        "card": "About the models",
        "back": "Back to the page",
        "language": "Language",
    },
    "ko": {
        "title": "합성된 얼굴일까요?",
        "lead": "두 신경망이 사진 속 모든 얼굴에서 다른 사진의 눈, 코, 입 또는 얼굴 전체를 붙여 넣은 흔적을 찾습니다.",
        "drop": "사진을 여기에 놓거나 붙여 넣으세요",
        "choose": "사진 고르기",
        "camera": "카메라",
        "take": "사진 찍기",
        "cancel": "취소",
        "limits": "JPEG, PNG, WEBP, BMP, TIFF, 20 MB까지. 사진은 판정하는 동안만 이 컴퓨터의 메모리에 있습니다.",
        "examples": "프로젝트가 그린 얼굴로 시험해 보기:",
        "example": "그린 얼굴 {number}",
        "working": "사진을 보는 중 …",
        "done": "완료",
        "failed": "이 사진은 판정할 수 없습니다: {reason}",
        "unreachable": "페이지의 서버가 응답하지 않습니다",
        "no_face": "이 사진에서 얼굴을 찾지 못했습니다.",
        "whole": "그래도 사진 전체를 판정하기",
        "sample": "이 모델들은 그린 얼굴로만 학습했습니다. 실제 사람의 사진에 대한 답은 아무 의미가 없습니다.",
        "face": "얼굴 {number}",
        "picture": "사진 전체",
        "photo_of": "사진, 표시된 것: {faces}",
        "one_face": "얼굴 1개",
        "many_faces": "얼굴 {number}개",
        "nothing": "없음",
        "fake": "합성",
        "real": "진짜",
        "inconclusive": "판단 불가",
        "says_fake": "두 모델 모두 이 얼굴에서 합성의 흔적을 봅니다.",
        "says_real": "두 모델 모두 이 얼굴에서 합성의 흔적을 보지 못합니다.",
        "says_inconclusive": "두 모델 모두 이 얼굴이 진짜인지 합성인지 충분히 확신하지 못합니다.",
        "says_differing": "두 모델의 의견이 달라, 함께는 어느 쪽도 말하지 않습니다.",
        "says_novel": "모델이 배운 사진 중에 이와 비슷한 것이 없어, 어느 쪽도 말하지 않습니다.",
        "means": "이 답이 뜻하지 않는 것",
        "means_fake": "사진이 편집되었다는 증거가 아닙니다. 검증 사진 중 합성이라고 한 것의 최대 {share}가 진짜였습니다.",
        "means_real": "아무도 편집하지 않았다는 증거가 아닙니다. 검증 사진 중 진짜라고 한 것의 최대 {share}가 합성이었고, "
        "AI가 만든 얼굴이나 필터, 보정은 모델이 배운 것이 아닙니다.",
        "means_inconclusive": "반쯤 합성이라는 뜻이 아닙니다. 검증 사진에서 모델이 너무 자주 틀린 점수대라는 뜻입니다.",
        "means_novel": "반쯤 합성이라거나 사진에 문제가 있다는 뜻이 아닙니다. 이런 사진에서 모델이 얼마나 자주 틀리는지 "
        "아무도 재지 않았다는 뜻입니다.",
        "ce": "교차 엔트로피",
        "bce": "BCE",
        "meter": "{model}: {answer}, 합성일 확률 {percent}",
        "maps": "지도",
        "no_map": "끄기",
        "origin": "점수의 근거가 된 곳",
        "edits": "편집된 곳",
        "towards_fake": "합성 쪽",
        "towards_real": "진짜 쪽",
        "origin_note": "편집된 곳이 아니라 점수가 어디에서 왔는지 보여 줍니다. 시험 사진에서 편집된 곳을 찾아내지 못했습니다.",
        "card": "모델에 대하여",
        "back": "페이지로 돌아가기",
        "language": "언어",
    },
}

RESERVATIONS: dict[Language, dict[Reservation, str]] = {
    "en": {
        "no_face": "No face was found: the whole picture was judged.",
        "cut_off": "The face is cut off by the border of the photo.",
        "small": "The face has fewer pixels than the networks look at.",
        "shrunk": "The face is smaller than any that the scores were measured on.",
        "compressed": "The photo is compressed more than any that the scores were measured on.",
        "map_disagrees": "Taken together, the places in the face point the other way than the answer.",
        "novel": "The photo is unlike those that the networks learned from.",
    },
    "ko": {
        "no_face": "얼굴을 찾지 못해 사진 전체를 판정했습니다.",
        "cut_off": "얼굴이 사진 가장자리에서 잘렸습니다.",
        "small": "얼굴의 픽셀 수가 신경망이 보는 것보다 적습니다.",
        "shrunk": "얼굴이 점수를 측정한 어떤 사진보다 작습니다.",
        "compressed": "사진이 점수를 측정한 어떤 사진보다 더 압축되었습니다.",
        "map_disagrees": "얼굴의 각 부분을 합치면 답과 반대쪽을 가리킵니다.",
        "novel": "신경망이 배운 사진들과 다른 사진입니다.",
    },
}

KOREAN_REASONS = {
    "not a JPEG": "JPEG, PNG, WEBP, BMP, TIFF 이미지가 아닙니다",
    "frames: expected": "움직이는 이미지가 아니라 정지 이미지여야 합니다",
    "more than": "너무 큽니다",
    "empty file": "빈 파일입니다",
    "damaged": "손상된 이미지입니다",
    "truncated": "끝이 잘린 이미지입니다",
}
"""By what the English reason holds."""


def reason_in(language: Language, reason: str) -> str:
    """Why a file cannot be used; in English, and exact, where there is no other word for it."""
    if language == "en":
        return reason
    return next((words for part, words in KOREAN_REASONS.items() if part in reason), reason)


def preferred_language(query: Mapping[str, str], accepted: str) -> Language:
    """The one that the address asks for (`?lang=ko`), else the first of an Accept-Language header that there is."""
    wanted = [query.get("lang", ""), *(part.partition(";")[0] for part in accepted.split(","))]
    codes = [code.strip().lower().partition("-")[0] for code in wanted]
    return next((language for code in codes for language in LANGUAGES if code == language), "en")
